"""The checks of `manage.py doctor`; each process tries its own part."""
