"""The build engine: wheels to layers to an image. It knows no database row."""
