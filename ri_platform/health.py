"""Probes of the web process. They do not wait for AWS, and tell only whether it can take requests."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import resolve

logger = logging.getLogger(__name__)

# Probes and Prometheus ask by address and without TLS, so neither host nor scheme is checked.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class ProbesMiddleware:
    """Answers the probes before the checks of hosts, HTTPS and sessions."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in PROBES:
            return self.get_response(request)
        found = resolve(request.path_info)
        answer: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
        return answer


def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers. It ignores the database, whose outage must not restart this process."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """200 if requests can be served: the database answers and its schema is this code's; else 503."""
    problem = not_ready()
    return HttpResponse(
        f"{problem or 'ready'}\n", content_type="text/plain", status=503 if problem else 200
    )


def not_ready() -> str:
    """The reason why requests cannot be served, as a sentence; empty if they can."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = schema.missing_migrations()
    except DatabaseError:
        # The answer must not show addresses and users; the log and `manage.py doctor` show them.
        logger.exception("The database does not answer.")
        return "The database does not answer."
    if missing:
        return f"{missing} migrations are not applied: run manage.py migrate."
    return ""


class Schema:
    """Whether the database has all of this code's migrations. A positive answer is cached."""

    def __init__(self) -> None:
        self._complete = False

    def missing_migrations(self) -> int:
        if self._complete:
            return 0
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        self._complete = missing == 0
        return missing


schema = Schema()
