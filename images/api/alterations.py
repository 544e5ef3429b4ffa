"""REST endpoints for alterations: propose, read, build. Each calls the console's operation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from images.api import alteration_schemas, present, schemas, spec_schemas
from images.api.present import image_and_job
from images.api.problems import problem
from images.api.wanted_spec import altered_spec
from images.models import Alteration, ManagedImage
from images.models.lease import WorkState
from images.operations import alterations
from images.queries.comparison import Differences
from images.queries.images import IMAGE
from images.queries.library_changes import locked_versions
from ri_platform.api import ERRORS, router
from workspaces.access import Action, Actor
from workspaces.api.guard import guarded

routes = router(
    "Alterations", "See what another spec would change in an image, and then build just that."
)


@routes.post(
    "/images/{name}:preview",
    response={200: alteration_schemas.OneAlteration, **ERRORS},
    summary="Preview an alteration",
)
@guarded(Action.ALTER_IMAGE, of=IMAGE)
def preview_alteration(
    request: HttpRequest, image: ManagedImage, wanted: spec_schemas.AlterImageIn
) -> dict[str, Any]:
    """Resolves an alteration in the background. Nothing is built, and the image stays unchanged.

    Ask for the alteration until its state is `succeeded` or `failed`. It is open for a day.
    """
    spec, supplied = altered_spec(image, wanted)
    return alteration_answer(
        alterations.propose_alteration(Actor.of(request), image, spec, supplied=supplied)
    )


@routes.post(
    "/images/{name}/alterations/{alteration_id}:build",
    response={200: schemas.ImageAndJob, **ERRORS},
    summary="Build an alteration",
)
@guarded(Action.ALTER_IMAGE, of=IMAGE)
def build_alteration(
    request: HttpRequest, image: ManagedImage, alteration_id: int
) -> dict[str, Any]:
    """Applies the alteration and builds its lock exactly as it was shown."""
    proposed = alterations.alteration_of(image, alteration_id)
    return image_and_job(alterations.alter_image(Actor.of(request), proposed))


@routes.get(
    "/images/{name}/alterations/{alteration_id}",
    response={200: alteration_schemas.OneAlteration, **ERRORS},
    summary="Get an alteration",
)
@guarded(Action.ALTER_IMAGE, of=IMAGE)
def get_alteration(request: HttpRequest, image: ManagedImage, alteration_id: int) -> dict[str, Any]:
    """Returns an open alteration, with its changes once they are resolved."""
    return alteration_answer(alterations.alteration_of(image, alteration_id))


def alteration_answer(proposed: Alteration) -> dict[str, Any]:
    return {"alteration": describe_alteration(proposed)}


def describe_alteration(proposed: Alteration) -> dict[str, Any]:
    """An alteration's fields for the API; `changes` are known once it is resolved."""
    current = proposed.image.current_build
    resolved = None
    if proposed.state == WorkState.SUCCEEDED:
        before = locked_versions(current.lock if current else "")
        resolved = Differences.between(before, locked_versions(proposed.lock))
    return {
        "id": proposed.pk,
        "image_name": proposed.image.name,
        "state": proposed.state,
        "changes": present.differences(resolved) if resolved else None,
        **present.spec(proposed.spec, proposed.base_image),
        "base_image": str(proposed.base_image),
        "error": problem(proposed),
        "creation_time": proposed.created_at,
        "completion_time": proposed.finished_at,
    }
