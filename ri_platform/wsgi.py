"""The web process's WSGI application."""

import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")
application = get_wsgi_application()
if settings.HTTPS and not settings.SECRET_KEY_SET:
    # Each process would make one of its own, and what one of them signs is nothing to the next.
    raise ImproperlyConfigured(
        "RI_SECRET_KEY is not set, so nothing is served. "
        "Set it, or RI_SECRET_KEY_FILE to a file that holds it."
    )
