"""What the public client asks before anything else: which version it speaks to, and whether it may."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from django.conf import settings
from django.http import HttpRequest

from ri_platform.api import ERRORS, Camel, Text, router
from workspaces.access import Action
from workspaces.api import guarded

routes = router("Compatibility")

# Nothing here expires; the client wants a date all the same.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class RimeInfo(Camel):
    """`clusterInfoVersion` is the version of the public client that this server answers to."""

    cluster_info_version: str
    customer_name: str
    expiration_time: datetime
    grace_period_end_time: datetime
    build_version: str


class LimitStatus(Camel):
    limit: str
    limit_status: Literal["STATUS_OK"]
    limit_value: str
    current_value: str


class LimitStatusOut(Camel):
    limit_status: LimitStatus


@routes.get("/rime-info", response={200: RimeInfo, **ERRORS}, summary="Tell the versions")
@guarded(Action.SEE_IMAGES)
def rime_info(request: HttpRequest) -> dict[str, Any]:
    """The client refuses a server whose version is behind its own."""
    return {
        "cluster_info_version": settings.COMPATIBILITY_VERSION,
        "customer_name": "instance",
        "expiration_time": NEVER,
        "grace_period_end_time": NEVER,
        "build_version": settings.VERSION,
    }


@routes.get(
    "/feature-flags/{customer_name}/limits/{limit}",
    response={200: LimitStatusOut, **ERRORS},
    summary="Tell how a limit stands",
)
@guarded(Action.SEE_IMAGES)
def limit_status(request: HttpRequest, customer_name: Text, limit: Text) -> dict[str, Any]:
    """Nothing is licensed here, so every limit is far away."""
    return {
        "limit_status": {
            "limit": limit,
            "limit_status": "STATUS_OK",
            "limit_value": "0",
            "current_value": "0",
        }
    }
