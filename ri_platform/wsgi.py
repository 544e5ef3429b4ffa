"""The web process's WSGI application."""

import gc
import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from ri_platform import metrics, processes, statement_timeout
from ri_platform.postgresql import sessions

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")
application = get_wsgi_application()
metrics.introduce(processes.WEB)
statement_timeout.introduce()
sessions.introduce(sessions.STANDING_TRANSACTION)
if settings.HTTPS and not settings.SECRET_KEY_SET:
    # Each process would make its own key, and could not verify the signatures of another.
    raise ImproperlyConfigured(
        "RI_SECRET_KEY is not set, so nothing is served. "
        "Set it, or RI_SECRET_KEY_FILE to a file that holds it."
    )

# Code, models and routes stay forever. A garbage collection that scans all of them
# delays a request by a tenth of a second. So they are created now and frozen.
get_resolver().check()
gc.collect()
gc.freeze()
# A page makes some ten thousand objects, nearly all of which go by reference counts. By default the young
# ones would be scanned dozens of times a request.
gc.set_threshold(20_000, 20, 20)
