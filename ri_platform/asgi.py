"""The web process's ASGI application: it buffers requests and runs Django's WSGI application in threads.

Django's own ASGI handler would give each request a thread and a database connection of its own, without
a bound. A fixed number of threads keeps their connections and bounds the work that is done at once.
"""

import os
import resource
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from django.conf import settings

from ri_platform.processes import THREADS
from ri_platform.request_bodies import BufferedBodies
from ri_platform.web import workers_wanted
from ri_platform.wsgi import application as wsgi_application

# The pieces of an answer that may wait for a slow reader before the thread waits, too. Static files are
# the only answers in pieces without authentication, and the largest has fewer pieces.
WAITING_PIECES = 128

# An open connection is a file. The default limit is 1,024, so the process raises it to the maximum.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

application = BufferedBodies(
    # The library and Django name the types of the same protocols differently.
    cast(
        Any,
        WSGIMiddleware(
            cast(Any, wsgi_application), workers=THREADS, send_queue_size=WAITING_PIECES
        ),
    ),
    body_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    body_seconds=settings.REQUEST_BODY_SECONDS,
    # The limit is of all workers together, and each has room for one body.
    total_bytes=max(
        settings.REQUEST_BODIES_BYTES // workers_wanted(os.environ),
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    ),
)
