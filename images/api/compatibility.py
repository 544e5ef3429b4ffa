"""REST endpoints that the public client calls first: versions and limits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest
from pydantic import Field, StringConstraints

from ri_platform.api import ERRORS, Camel, Line, router
from workspaces.access import Action
from workspaces.api.guard import guarded

routes = router("Compatibility", "Versions and limits, which the public client reads first.")

Word = Annotated[Line, StringConstraints(max_length=200)]
# Nothing here expires; the client wants a date all the same.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class RimeInfo(Camel):
    """The versions of the server."""

    cluster_info_version: str
    """The version of the public client that this server answers to."""
    customer_name: str
    """The customer name that the client sends when it asks for limits."""
    expiration_time: datetime
    """The end of the licence. The platform needs none, so the date is far in the future."""
    grace_period_end_time: datetime
    """The same as `expirationTime`."""
    build_version: str
    """The platform's own version."""


class LimitStatus(Camel):
    """The status of a limit."""

    limit: str = Field(examples=["LICENSE_LIMIT_EXPIRATION"])
    """The limit that the request names."""
    limit_status: Literal["STATUS_OK"]
    """Always OK: the platform needs no licence."""
    limit_value: str
    """The value of the limit; zero, because there is no limit."""
    current_value: str
    """The used part of the limit."""


class LimitStatusOut(Camel):
    """The status of a limit."""

    limit_status: LimitStatus
    """The limit."""


@routes.get("/rime-info", response={200: RimeInfo, **ERRORS}, summary="Get the versions")
@guarded(Action.SEE_IMAGES)
def get_rime_info(request: HttpRequest) -> dict[str, Any]:
    """Returns the server's versions. The client refuses a server with an older version than its own."""
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
    summary="Get a limit's status",
)
@guarded(Action.SEE_IMAGES)
def get_limit_status(request: HttpRequest, customer_name: Word, limit: Word) -> dict[str, Any]:
    """Always OK: the platform needs no licence."""
    return {
        "limit_status": {
            "limit": limit,
            "limit_status": "STATUS_OK",
            "limit_value": "0",
            "current_value": "0",
        }
    }
