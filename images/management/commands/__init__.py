"""Commands of manage.py about images: import and build base images, pull, doctor, demo data."""
