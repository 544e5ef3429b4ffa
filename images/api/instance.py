"""REST endpoint for the instance: version, grace time for removal, path of the SDK."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from pydantic import Field

from ri_platform.api import ERRORS, Camel, router
from ri_platform.sdk_wheel import sdk_wheel
from workspaces.access import Action
from workspaces.api.guard import guarded

routes = router("Instance", "The instance's version, its grace time for removal, and its SDK.")


class InstanceOut(Camel):
    """The instance."""

    version: str = Field(examples=["0.1.0"])
    """The platform's version, which its SDK shares."""
    removal_grace_hours: int = Field(examples=[24])
    """Hours for which a removed image can be restored; 0 if it is deleted at once."""
    sdk_path: str = Field(examples=["/sdk/ri_platform_sdk-0.1.0-py3-none-any.whl"])
    """The path of the SDK's wheel, which is served without a token."""


@routes.get("/instance", response={200: InstanceOut, **ERRORS}, summary="Describe the instance")
@guarded(Action.SEE_IMAGES)
def get_instance(request: HttpRequest) -> dict[str, Any]:
    """Returns the version, the hours for which removed images can be restored, and the path of the SDK."""
    return {
        "version": settings.VERSION,
        "removal_grace_hours": round(settings.REMOVAL_GRACE.total_seconds() / 3600),
        "sdk_path": reverse("sdk_wheel", args=[sdk_wheel().name]),
    }
