"""The request's id in the answer, and one summary line for each request.

django-structlog makes the id and binds it to each log line of the request. Its own lines are switched off
(`ri_platform.logs`), because they contain the path and the query string.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django_structlog import signals
from structlog.contextvars import bind_contextvars, get_contextvars

from ri_platform.metrics import REQUEST_SECONDS

logger = structlog.get_logger("ri_platform.requests")

HEADER = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@receiver(signals.bind_extra_request_metadata)
def begin_request(request: HttpRequest, **signal: Any) -> None:
    """Start the clock, and replace an id from the proxy that is not well formed."""
    if not _ID.fullmatch(get_contextvars()["request_id"]):
        bind_contextvars(request_id=uuid.uuid4().hex)
    request.begun = time.monotonic()  # type: ignore[attr-defined]
    request.log_id = get_contextvars()["request_id"]  # type: ignore[attr-defined]


@receiver([signals.bind_extra_request_finished_metadata, signals.update_failure_response])
def end_request(request: HttpRequest, response: HttpResponseBase, **signal: Any) -> None:
    """Log the route instead of the path: paths may contain secrets, and metrics need few values."""
    seconds = time.monotonic() - request.begun  # type: ignore[attr-defined]
    match = getattr(request, "resolver_match", None)
    route = match.route if match else ""
    status = response.status_code
    REQUEST_SECONDS.labels(request.method, route, str(status)).observe(seconds)
    user = getattr(request, "user", None)
    # Static files have no route; a line for each would hide those of pages.
    log = logger.info if match else logger.debug
    log(
        f"{request.method} {f'/{route}' if match else 'without a route'} {status}",
        milliseconds=round(seconds * 1000),
        user=user.pk if user is not None and user.is_authenticated else None,
    )
    response.headers[HEADER] = request.log_id  # type: ignore[attr-defined]
