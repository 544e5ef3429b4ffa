"""A small model of an image's life, searched as a whole and held against the real operations."""
