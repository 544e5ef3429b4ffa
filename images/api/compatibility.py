"""REST endpoints that the public clients call first: versions, limits and features."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest
from pydantic import Field, StringConstraints

from ri_platform.api import ERRORS, Camel, Line, router
from ri_platform.earlier_clients import compatible_version
from workspaces.access import Action
from workspaces.api.guard import guarded

routes = router(
    "Compatibility", "Versions, limits and features, which the public clients read first."
)

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
    limit_status: Literal["STATUS_OK", "OK"]
    """Always OK: the platform needs no licence. Clients before 2.0 know the word without its prefix."""
    limit_value: str
    """The value of the limit; zero, because there is no limit."""
    current_value: str
    """The used part of the limit."""


class LimitStatusOut(Camel):
    """The status of a limit."""

    limit_status: LimitStatus
    """The limit."""


class FeatureFlags(Camel):
    """The licence."""

    customer_name: str
    """The customer name of the request."""
    subscription_expiration_time: datetime
    """The end of the licence. The platform needs none, so the date is far in the future."""


class FeatureFlagsOut(Camel):
    """The licence."""

    feature_flags: FeatureFlags
    """What the licence says."""


class EnabledFeatures(Camel):
    """The licensed features that are enabled."""

    customer_name: str
    """The customer name of the request."""
    enabled_features: list[str] = Field(examples=[[]])
    """Always empty: the platform has none of the original's licensed features."""


class EnabledFeature(Camel):
    """Whether a licensed feature is enabled."""

    feature: str = Field(examples=["LICENSE_FEATURE_FIREWALL"])
    """The feature that the request names."""
    enabled: bool = Field(examples=[False])
    """Always false, as in the list of features."""


@routes.get("/rime-info", response={200: RimeInfo, **ERRORS}, summary="Get the versions")
@guarded(Action.SEE_IMAGES)
def get_rime_info(request: HttpRequest) -> dict[str, Any]:
    """Returns the server's versions. The client refuses a server with an older version than its own."""
    return {
        "cluster_info_version": compatible_version(request),
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
    is_earlier = compatible_version(request).startswith("0.")
    return {
        "limit_status": {
            "limit": limit,
            "limit_status": "OK" if is_earlier else "STATUS_OK",
            "limit_value": "0",
            "current_value": "0",
        }
    }


@routes.get(
    "/feature-flags/{customer_name}",
    response={200: FeatureFlagsOut, **ERRORS},
    summary="Get the licence",
)
@guarded(Action.SEE_IMAGES)
def get_feature_flags(request: HttpRequest, customer_name: Word) -> dict[str, Any]:
    """Returns a licence that never ends: the platform needs none."""
    return {
        "feature_flags": {"customer_name": customer_name, "subscription_expiration_time": NEVER}
    }


@routes.get(
    "/feature-flags/{customer_name}/features",
    response={200: EnabledFeatures, **ERRORS},
    summary="List enabled features",
)
@guarded(Action.SEE_IMAGES)
def list_enabled_features(request: HttpRequest, customer_name: Word) -> dict[str, Any]:
    """Always empty: no licensed feature is part of the platform."""
    return {"customer_name": customer_name, "enabled_features": []}


@routes.get(
    "/feature-flags/{customer_name}/features/{feature}",
    response={200: EnabledFeature, **ERRORS},
    summary="Get a feature",
)
@guarded(Action.SEE_IMAGES)
def get_enabled_feature(request: HttpRequest, customer_name: Word, feature: Word) -> dict[str, Any]:
    """Always not enabled, as in the list of features."""
    return {"feature": feature, "enabled": False}
