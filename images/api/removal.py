"""REST for removed images: list them, bring one back, delete one for good."""

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
from workspaces.api.guard import Nothing, guarded

routes = router(
    "Removed images", "Images that were removed can be restored for a while, or deleted for good."
)


class RemovedPageIn(Camel):
    """Which page of the removed images."""

    page_token: Line = Field("", max_length=column_length(ManagedImage, "name"))
    """The `nextPageToken` of the former page; empty for the first."""
    page_size: int = Field(100, ge=1, le=1000)
    """At most so many images."""


class RemovedOut(Camel):
    """An image that was removed."""

    name: str
    """Its name, which is not free before its repository is deleted."""
    removed_by: str
    """The account that removed it; empty if that is gone."""
    removal_time: datetime
    """When it was removed."""
    deletion_time: datetime | None = None
    """When its repository is deleted, and it can be restored no more."""
    restorable: bool
    """Whether it can still be restored."""


class RemovedPage(Camel):
    """A page of removed images, by name."""

    images: list[RemovedOut]
    """The images of this page."""
    next_page_token: str
    """Asks for the next page. On the last page it is the token that was asked with."""


@routes.get("/images:removed", response={200: RemovedPage, **ERRORS}, summary="List removed images")
@guarded(Action.RESTORE_IMAGE)
def list_removed_images(request: HttpRequest, asked: Query[RemovedPageIn]) -> dict[str, Any]:
    """Images that were removed and whose repository is not deleted yet, by name."""
    capabilities.require_enabled()
    rows = ManagedImage.objects.removed().filter(name__gt=asked.page_token).order_by("name")
    found, token = page_of(rows, asked.page_size, asked.page_token, lambda row: row.name)
    return {"images": [removed(row) for row in found], "next_page_token": token}


@routes.post(
    "/images/{name}:restore",
    response={200: schemas.OneImage, **ERRORS},
    summary="Restore a removed image",
)
@guarded(Action.RESTORE_IMAGE)
def restore_image(request: HttpRequest, name: str) -> dict[str, Any]:
    """Brings it back with all its builds; models that ran on it run on it again."""
    return {"image": present.detail(removal.restore_image(Actor.of(request), name))}


@routes.post(
    "/images/{name}:delete",
    response={200: Nothing, **ERRORS},
    summary="Delete a removed image for good",
)
@guarded(Action.REMOVE_IMAGE)
def delete_removed_image(request: HttpRequest, name: str) -> dict[str, Any]:
    """Deletes its repository now instead of when its time to be restored is over, which frees its name."""
    removal.delete_image(Actor.of(request), name)
    return {}


def removed(row: ManagedImage) -> dict[str, Any]:
    return {
        "name": row.name,
        "removed_by": row.removed_by.username if row.removed_by else "",
        "removal_time": row.removed_at,
        "deletion_time": row.deletion_due_at,
        "restorable": row.is_restorable,
    }
