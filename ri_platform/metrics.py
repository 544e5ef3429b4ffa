"""Metrics for Prometheus, in two registries.

The default registry holds a process's own counters (requests, builds, AWS calls). The workers of one web
process count in files, which each of them sums (`ri_platform.web`). The collectors in `FACTS` read facts
(queues, images by status) from the database; only the web process exposes them, and every replica reports the
same values. docs/operations.md explains each metric.
"""

from __future__ import annotations

import hmac
import logging
import os
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from ri_platform import web
from ri_platform.errors import CHALLENGE

logger = logging.getLogger(__name__)

WITHOUT_TOKEN = "Metrics take the token of RI_METRICS_TOKEN, as a bearer.\n"  # noqa: S105  (a sentence)
FACTS = CollectorRegistry()

BUILD_INFO = Gauge(
    "ri_build_info",
    "Always 1: the version that a process runs, and which process of an instance it is.",
    ["version", "process"],
    multiprocess_mode="max",
)
REQUEST_SECONDS = Histogram(
    "ri_http_request_duration_seconds",
    "Requests to the web process: how long each route took, and how it ended.",
    ["method", "route", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
TASK_SECONDS = Histogram(
    "ri_task_duration_seconds",
    "Tasks that a worker ran, and how they ended.",
    ["task", "state"],
    buckets=(0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 1800),
)
BUILDS = Counter(
    "ri_builds_total",
    "Builds that ended, by how; reason is an error's code, empty for the others.",
    ["state", "reason"],
)
BUILD_PHASE_SECONDS = Histogram(
    "ri_build_phase_duration_seconds",
    "How long each phase of a build took; phases overlap.",
    ["phase"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
IMPORT_CHECKS = Counter(
    "ri_import_checks_total",
    "Images whose imports were tried, by result: passed, failed, skipped, or broken on the platform's side.",
    ["result"],
)
IMPORT_CHECK_SECONDS = Histogram(
    "ri_import_check_duration_seconds",
    "How long the trial of an image's imports took, with unpacking and the sandbox.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
LAYERS = Counter(
    "ri_layers_total",
    "Layers of wheels that builds needed: remembered from an earlier build, or new.",
    ["origin"],
)
PREPARED_LAYERS = Counter(
    "ri_prepared_layers_total",
    "Layers that an idle builds worker made, or tried to make, before anybody asked for them.",
    ["outcome"],
)
BLOBS = Counter(
    "ri_blobs_total",
    "Blobs that builds brought into a repository: mounted, present, uploaded or copied.",
    ["how"],
)
BLOB_BYTES = Counter(
    "ri_blob_bytes_total",
    "The size of those blobs; what was mounted or present did not have to be sent.",
    ["how"],
)
LEASE_TAKEOVERS = Counter(
    "ri_lease_takeovers_total",
    "Work whose worker had died, taken over by this one.",
    ["kind"],
)
LEASES_LOST = Counter(
    "ri_leases_lost_total",
    "Work that this worker had to drop: it was taken over, or cancelled.",
    ["kind"],
)
AWS_CALLS = Counter(
    "ri_aws_calls_total",
    "Calls to AWS by IAM action; error is empty for those that succeeded.",
    ["action", "error"],
)
CACHE_FREE_BYTES = Gauge(
    "ri_cache_free_bytes",
    "Free space on the disk where this builds worker keeps its caches and works.",
    ["folder"],
)


def introduce(process: str) -> None:
    """Record the process's name at the start: `web`, `scheduler`, or the queue of a worker."""
    BUILD_INFO.labels(settings.VERSION, process).set(1)


def metrics(request: HttpRequest) -> HttpResponse:
    """The web process's counters and the facts, for clients with `RI_METRICS_TOKEN`."""
    if not settings.METRICS_TOKEN:
        return HttpResponse("RI_METRICS_TOKEN is not set.\n", "text/plain", status=404)
    if not is_authorized(request.headers.get("Authorization", "")):
        refusal = HttpResponse(WITHOUT_TOKEN, "text/plain", status=401)
        refusal["WWW-Authenticate"] = CHALLENGE
        return refusal
    return HttpResponse(
        render_metrics(registry_of_workers(), FACTS), content_type=CONTENT_TYPE_LATEST
    )


def registry_of_workers() -> CollectorRegistry:
    """What this process has counted: the sum of its workers where it has several, those that died too."""
    folder = os.environ.get(web.FOLDER)
    if not folder:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry


def render_metrics(*registries: CollectorRegistry) -> bytes:
    return b"".join(generate_latest(registry) for registry in registries)


def is_authorized(header: str) -> bool:
    scheme, _, token = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        token.strip().encode(), settings.METRICS_TOKEN.encode()
    )


# --- workers ------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer on this worker's own port, from a thread of its own, if `RI_METRICS_PORT` says so."""
    if not settings.METRICS_PORT:
        return
    try:
        server = make_server(
            settings.METRICS_HOST, settings.METRICS_PORT, application, Server, QuietHandler
        )
    except OSError as error:
        # The worker runs without metrics. This happens to a second worker on the same machine.
        logger.warning("Metrics cannot be served on port %s: %s", settings.METRICS_PORT, error)
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def application(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    """The WSGI application. `/healthz` is for probes; all else requires the token, if one is set."""
    if environ.get("PATH_INFO") == "/healthz":
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"ok\n"]
    if settings.METRICS_TOKEN and not is_authorized(environ.get("HTTP_AUTHORIZATION", "")):
        start("401 Unauthorized", [("Content-Type", "text/plain"), ("WWW-Authenticate", CHALLENGE)])
        return [WITHOUT_TOKEN.encode()]
    start("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
    return [render_metrics(REGISTRY)]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: Prometheus sends a request every few seconds."""
