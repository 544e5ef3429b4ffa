"""Database migrations of images."""
