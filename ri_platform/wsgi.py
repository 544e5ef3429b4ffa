"""The web process's WSGI application."""

import gc
import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from ri_platform import metrics, processes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")
application = get_wsgi_application()
metrics.introduce(processes.WEB)
if settings.HTTPS and not settings.SECRET_KEY_SET:
    # Each process would make one of its own, and what one of them signs is nothing to the next.
    raise ImproperlyConfigured(
        "RI_SECRET_KEY is not set, so nothing is served. "
        "Set it, or RI_SECRET_KEY_FILE to a file that holds it."
    )

# Code, models and routes stay for good, and there are so many of them that a look through all for garbage
# keeps some request waiting for a tenth of a second. So they are made now and not looked at again.
get_resolver().check()
gc.collect()
gc.freeze()
