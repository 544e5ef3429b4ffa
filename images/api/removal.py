"""REST endpoints for removed images: list, restore, delete permanently."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from images.api import present, schemas
from images.models import ManagedImage
from images.operations import removal
from images.queries import capabilities
from ri_platform.api import ERRORS, Camel, Line, page_of, router
from ri_platform.text import column_length
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, Username, guarded

routes = router(
    "Removed images", "Images that were removed can be restored for a while, or deleted for good."
)


class RemovedPageIn(Camel):
    """The page of removed images to return."""

    page_token: Line = Field("", max_length=column_length(ManagedImage, "name"))
    """The `nextPageToken` of the previous page; empty for the first page."""
    page_size: int = Field(100, ge=1, le=1000)
    """The largest number of images to return."""


class RemovedOut(Camel):
    """An image that was removed."""

    name: str
    """Its name, which stays reserved until its repository is deleted."""
    removed_by: Username
    """The account that removed it; empty if the account no longer exists."""
    removal_time: datetime = Field(validation_alias="removed_at")
    """When it was removed."""
    deletion_time: datetime | None = Field(None, validation_alias="deletion_due_at")
    """The time when its repository is deleted; afterwards it cannot be restored."""
    restorable: bool = Field(validation_alias="is_restorable")
    """Whether it can still be restored."""


class RemovedPage(Camel):
    """A page of removed images, by name."""

    images: list[RemovedOut]
    """The images of this page."""
    next_page_token: str
    """The token of the next page. On the last page it equals the token of the request."""


@routes.get("/images:removed", response={200: RemovedPage, **ERRORS}, summary="List removed images")
@guarded(Action.RESTORE_IMAGE)
def list_removed_images(request: HttpRequest, asked: Query[RemovedPageIn]) -> dict[str, Any]:
    """Returns the removed images whose repository still exists, in the order of their names."""
    capabilities.require_enabled()
    rows = ManagedImage.objects.removed()
    found, token = page_of(rows, ("name",), asked.page_size, asked.page_token)
    return {"images": found, "next_page_token": token}


@routes.post(
    "/images/{name}:restore",
    response={200: schemas.OneImage, **ERRORS},
    summary="Restore a removed image",
)
@guarded(Action.RESTORE_IMAGE)
def restore_image(request: HttpRequest, name: str) -> dict[str, Any]:
    """Restores the image with all its builds. Models that ran on it run on it again."""
    return {"image": present.detail(removal.restore_image(Actor.of(request), name))}


@routes.post(
    "/images/{name}:delete",
    response={200: Nothing, **ERRORS},
    summary="Delete a removed image for good",
)
@guarded(Action.REMOVE_IMAGE)
def delete_removed_image(request: HttpRequest, name: str) -> dict[str, Any]:
    """Deletes the repository at once, without waiting for the end of the grace time. This frees the name."""
    removal.delete_image(Actor.of(request), name)
    return {}
