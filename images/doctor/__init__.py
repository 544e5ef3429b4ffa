"""`manage.py doctor`: whether an instance works, found out by trying. Each process tries what is its own."""
