"""Base images: one module a source (`from_…`), and the inspection of what was obtained."""
