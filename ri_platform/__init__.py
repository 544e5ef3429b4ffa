"""The Django project: `settings.py`, root URLs, errors, logs, middleware; shared by both apps."""
