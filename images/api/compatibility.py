"""What the public client asks before anything else: which version it speaks to, and whether it may."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest
from pydantic import Field, StringConstraints

from ri_platform.api import ERRORS, Camel, Line, router
from workspaces.access import Action
from workspaces.api.guard import guarded

routes = router("Compatibility", "What the public client asks before anything else.")

Word = Annotated[Line, StringConstraints(max_length=200)]
# Nothing here expires; the client wants a date all the same.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class RimeInfo(Camel):
    """Which versions the server has."""

    cluster_info_version: str
    """The version of the public client that this server answers to."""
    customer_name: str
    """A name that the client asks for limits with."""
    expiration_time: datetime
    """When a licence would end; nothing expires here."""
    grace_period_end_time: datetime
    """As `expirationTime`."""
    build_version: str
    """The platform's own version."""


class LimitStatus(Camel):
    """How a limit stands."""

    limit: str = Field(examples=["LICENSE_LIMIT_EXPIRATION"])
    """The limit that was asked for."""
    limit_status: Literal["STATUS_OK"]
    """Nothing is licensed here, so every limit is far away."""
    limit_value: str
    """The limit; zero, for there is none."""
    current_value: str
    """How much of it is used."""


class LimitStatusOut(Camel):
    """How a limit stands."""

    limit_status: LimitStatus
    """The limit."""


@routes.get("/rime-info", response={200: RimeInfo, **ERRORS}, summary="Tell the versions")
@guarded(Action.SEE_IMAGES)
def get_rime_info(request: HttpRequest) -> dict[str, Any]:
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
def get_limit_status(request: HttpRequest, customer_name: Word, limit: Word) -> dict[str, Any]:
    """Nothing is licensed here, so every limit is far away."""
    return {
        "limit_status": {
            "limit": limit,
            "limit_status": "STATUS_OK",
            "limit_value": "0",
            "current_value": "0",
        }
    }
