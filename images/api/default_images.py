"""REST endpoints for the default image of a workspace, and for the image that a run in it takes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from images.api.ml_model_schemas import ChosenImageOut, ResolvedOut
from images.api.run_time_info import RunSettingsOut, RunTimeInfoIn, run_settings
from images.models import DefaultImage
from images.operations import default_image, runtime_image
from images.operations.default_image import NoDefaultImage
from images.operations.ml_models import model_in
from images.operations.runtime_image import RuntimeImage
from images.queries import chosen_images
from images.run_time.request import RunRequest
from ri_platform.api import ERRORS, Camel, router
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, guarded
from workspaces.models import Workspace

routes = router("Default images", "The image of a workspace for models without one of their own.")


class DefaultImageOut(ChosenImageOut):
    """The default image of a workspace."""

    run_time_info: RunSettingsOut | None = None
    """What runs ask of the machine, unless their model says something else."""
    update_time: datetime = Field(validation_alias="set_at")
    """When it was last set."""

    @staticmethod
    def resolve_run_time_info(row: DefaultImage) -> dict[str, Any] | None:
        return run_settings(row.asks)


class OneDefaultImage(Camel):
    """The default image of a workspace."""

    default_image: DefaultImageOut
    """The image."""


class RunIn(Camel):
    """The run to find the image of."""

    model: Annotated[UUID | None, Field(examples=["8a6f2c44-0d5e-4b9b-8d2f-1c7e5a9b3d10"])] = None
    """The model's identifier; if absent, the workspace's default image is returned."""


@routes.get(
    "/workspaces/{workspace_id}/image",
    response={200: ResolvedOut, **ERRORS},
    summary="Get the image for a run",
)
@guarded(Action.RESOLVE_IMAGE)
def resolve_workspace_image(
    request: HttpRequest, workspace: Workspace, asked: Query[RunIn]
) -> RuntimeImage:
    """Returns the image of a model, else the workspace's default image, to pull now.

    One address for what runs tests, in a fixed number of queries. With neither image the answer is 404
    with the reason `no_image_to_run_on`.
    """
    model = model_in(workspace, asked.model) if asked.model else None
    return runtime_image.resolve_in(workspace, model)


@routes.get(
    "/workspace/{workspace_id}/default-image",
    response={200: OneDefaultImage, **ERRORS},
    summary="Get a workspace's default image",
)
@guarded(Action.SEE_WORKSPACE)
def get_default_image(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """Returns the image that models without one of their own run on; 404 if the workspace has none."""
    found = chosen_images.default_image(workspace.pk)
    if found is None:
        raise NoDefaultImage(f"{workspace.name} has no default image.")
    return {"default_image": found}


@routes.put(
    "/workspace/{workspace_id}/default-image",
    response={200: OneDefaultImage, **ERRORS},
    summary="Set a workspace's default image",
)
@guarded(Action.SET_DEFAULT_IMAGE)
def set_default_image(
    request: HttpRequest, workspace: Workspace, wanted: RunTimeInfoIn
) -> dict[str, Any]:
    """Sets the image, and what runs ask of the machine. Models without an own image follow at once."""
    info = wanted.run_time_info
    default_image.set_default_image(
        Actor.of(request), workspace, info.custom_image.choice, info.over(RunRequest())
    )
    return {"default_image": chosen_images.default_image(workspace.pk)}


@routes.delete(
    "/workspace/{workspace_id}/default-image",
    response={200: Nothing, **ERRORS},
    summary="Clear a workspace's default image",
)
@guarded(Action.SET_DEFAULT_IMAGE)
def clear_default_image(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """Leaves the workspace without a default image. Models that run on it have none then."""
    default_image.clear_default_image(Actor.of(request), workspace)
    return {}
