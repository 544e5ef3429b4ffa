"""Pages of the console for images and models: fetch, validate, one operation, render."""
