"""The forms of the console: images, the files that they are made of, models, and their choice of images."""
