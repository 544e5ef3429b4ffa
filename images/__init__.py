"""Managed images, from page to worker; beside the folders: `forms.py`, `errors.py`, `os_families.py`."""
