"""Request ids, which appear on every log line of a request, and one summary line for each request."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from ri_platform.metrics import REQUEST_SECONDS

logger = structlog.get_logger("ri_platform.requests")

HEADER = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLogMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun = time.monotonic()
        request_id = id_of(request)
        structlog.contextvars.clear_contextvars()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            told(request, response, time.monotonic() - begun)
        response[HEADER] = request_id
        return response


def id_of(request: HttpRequest) -> str:
    """The id from our own proxy, else a new one. A client cannot choose it."""
    given = request.headers.get(HEADER, "")
    if settings.TRUSTED_PROXIES and _ID.fullmatch(given):
        return given
    return uuid.uuid4().hex


def told(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """The route instead of the path: paths may contain secrets, and metrics need few values."""
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
