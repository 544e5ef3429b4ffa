"""REST endpoints for models and the images that they run on."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query

from images.api.ml_model_schemas import (
    BuildFittingIn,
    HistoryOut,
    HistoryPageIn,
    MatchLimit,
    ModelIn,
    ModelMatches,
    ModelPatch,
    ModelsOut,
    OneModel,
    ResolvedOut,
)
from images.api.run_time_info import ImageChoice, RunTimeInfoIn, run_settings
from images.models import Assignment, AssignmentState, DefaultImage, MLModel, PythonVersion
from images.operations import ml_models, runtime_image, swaps
from images.operations.ml_models import MODEL, EditModel
from images.operations.runtime_image import RuntimeImage
from images.queries.base_images import newest_python
from images.queries.chosen_images import default_image, source_of
from images.queries.matching import match_images, wanted_by_model
from images.run_time.request import RunRequest
from ri_platform.api import ERRORS, PageIn, page_of, router
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, guarded
from workspaces.models import Workspace

routes = router("Models", "The models of workspaces, each of which runs on one image.")


@routes.post(
    "/models:validate-image", response={200: ResolvedOut, **ERRORS}, summary="Validate an image"
)
@guarded(Action.SEE_IMAGES)
def validate_image(request: HttpRequest, wanted: RunTimeInfoIn) -> RuntimeImage:
    """Checks that the image of a `runTimeInfo` can be used now, and returns the reference to pull."""
    choice = wanted.run_time_info.custom_image.choice
    return runtime_image.validate_image(Actor.of(request), choice)


@routes.get(
    "/workspace/{workspace_id}/models", response={200: ModelsOut, **ERRORS}, summary="List models"
)
@guarded(Action.SEE_MODELS)
def list_models(request: HttpRequest, workspace: Workspace, asked: Query[PageIn]) -> dict[str, Any]:
    """Returns a workspace's models in the order of their names, in pages."""
    rows = ml_models.list_models(workspace)
    found, token = page_of(rows, ml_models.ORDER, asked.page_size, asked.page_token)
    default = default_image(workspace.pk)
    shown = [describe_model(model, model.assignments.all(), default) for model in found]
    return {"models": shown, "next_page_token": token}


@routes.post(
    "/workspace/{workspace_id}/models", response={200: OneModel, **ERRORS}, summary="Create a model"
)
@guarded(Action.CREATE_MODEL)
def create_model(request: HttpRequest, workspace: Workspace, wanted: ModelIn) -> dict[str, Any]:
    """Creates a model. Without an image it runs on the workspace's default image.

    The default Python version is the newest available one.
    """
    python = wanted.python_version or newest_python("all") or PythonVersion.V3_11
    info = wanted.run_time_info
    command = EditModel(
        wanted.name,
        wanted.description,
        str(python),
        wanted.requirements,
        info.over(RunRequest()) if info else None,
    )
    image = wanted.image or (info.custom_image if info else None)
    choice = image.choice if image else None
    return model_answer(swaps.create_model_on(Actor.of(request), workspace, command, choice))


@routes.get("/models/{model_id}", response={200: OneModel, **ERRORS}, summary="Get a model")
@guarded(Action.SEE_MODELS, of=MODEL)
def get_model(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Returns a model with the image that it runs on."""
    return model_answer(model)


@routes.patch("/models/{model_id}", response={200: OneModel, **ERRORS}, summary="Change a model")
@guarded(Action.EDIT_MODEL, of=MODEL)
def edit_model(request: HttpRequest, model: MLModel, wanted: ModelPatch) -> dict[str, Any]:
    """Changes the name, description, Python version, requirements, or what runs ask for.

    The image stays the same, unless `runTimeInfo` names another one.
    """
    given, info = wanted.model_dump(exclude_none=True), wanted.run_time_info
    command = EditModel(
        given.get("name", model.name),
        given.get("description", model.description),
        str(given.get("python_version", model.python_version)),
        given.get("requirements", model.requirements),
        info.over(model.asks) if info else None,
    )
    choice = info.custom_image.choice if info and info.custom_image else None
    return model_answer(swaps.edit_model_on(Actor.of(request), model, command, choice))


@routes.delete("/models/{model_id}", response={200: Nothing, **ERRORS}, summary="Remove a model")
@guarded(Action.REMOVE_MODEL, of=MODEL)
def remove_model(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Removes a model and the history of its images. The images themselves stay."""
    ml_models.remove_model(Actor.of(request), model)
    return {}


@routes.get(
    "/models/{model_id}/image", response={200: ResolvedOut, **ERRORS}, summary="Resolve the image"
)
@guarded(Action.RESOLVE_IMAGE, of=MODEL)
def resolve_model_image(request: HttpRequest, model: MLModel) -> RuntimeImage:
    """Returns the image to pull now, by digest: the model's own, else its workspace's default.

    503 with `Retry-After` during the image's first build.
    """
    return runtime_image.resolve(model)


@routes.put(
    "/models/{model_id}/image", response={200: OneModel, **ERRORS}, summary="Swap the image"
)
@guarded(Action.SWAP_IMAGE, of=MODEL)
def swap_model_image(request: HttpRequest, model: MLModel, wanted: ImageChoice) -> dict[str, Any]:
    """Swaps at once. An image in its first build becomes `nextImage`, and is swapped to when it is ready."""
    swaps.swap_image(Actor.of(request), model, wanted.choice)
    return model_answer(model)


@routes.delete(
    "/models/{model_id}/image", response={200: OneModel, **ERRORS}, summary="Use the default image"
)
@guarded(Action.SWAP_IMAGE, of=MODEL)
def swap_model_to_default(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Has the model run on its workspace's default image, whichever that is from now on."""
    swaps.swap_to_default(Actor.of(request), model)
    return model_answer(model)


@routes.get(
    "/models/{model_id}/image/history",
    response={200: HistoryOut, **ERRORS},
    summary="List a model's images",
)
@guarded(Action.SEE_MODELS, of=MODEL)
def list_model_image_history(
    request: HttpRequest, model: MLModel, asked: Query[HistoryPageIn]
) -> dict[str, Any]:
    """Returns the images that it ran on, runs on or waits for, newest first, in pages."""
    rows = Assignment.objects.with_image().filter(model=model)
    found, token = page_of(rows, ("id",), asked.page_size, asked.page_token, descending=True)
    return {"images": found, "next_page_token": token}


@routes.post(
    "/models/{model_id}/image:swapBack/{assignment_id}",
    response={200: OneModel, **ERRORS},
    summary="Swap back",
)
@guarded(Action.SWAP_IMAGE, of=MODEL)
def swap_model_image_back(
    request: HttpRequest, model: MLModel, assignment_id: int
) -> dict[str, Any]:
    """Swaps the model back to an image of its history."""
    swaps.swap_image(Actor.of(request), model, swaps.past_choice(model, assignment_id))
    return model_answer(model)


@routes.post(
    "/models/{model_id}/image:build",
    response={200: OneModel, **ERRORS},
    summary="Build an image that fits",
)
@guarded(Action.SWAP_IMAGE, of=MODEL)
def build_image_for_model(
    request: HttpRequest, model: MLModel, wanted: BuildFittingIn
) -> dict[str, Any]:
    """Builds an image with exactly the model's requirements, and swaps to it when it is ready.

    Options of the requirements hold for the image: indexes, pre-releases, hashes.
    """
    swaps.build_one_that_fits(
        Actor.of(request),
        model,
        wanted.name,
        indexes=wanted.indexes,
        allow_prereleases=wanted.allow_prereleases,
    )
    return model_answer(model)


@routes.post(
    "/models/{model_id}/image:stopWaiting",
    response={200: OneModel, **ERRORS},
    summary="Call off a swap that waits",
)
@guarded(Action.SWAP_IMAGE, of=MODEL)
def stop_waiting_for_image(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Cancels the waiting swap: the model keeps its image. The other image is still built."""
    swaps.stop_waiting(Actor.of(request), model)
    return model_answer(model)


@routes.get(
    "/models/{model_id}/matches",
    response={200: ModelMatches, **ERRORS},
    summary="Match images to a model",
)
@guarded(Action.SEE_MODELS, of=MODEL)
def match_images_to_model(
    request: HttpRequest, model: MLModel, asked: Query[MatchLimit]
) -> dict[str, Any]:
    """Returns images in the order of their fit for the model's requirements, best first."""
    found = match_images(Actor.of(request).user, wanted_by_model(model), limit=asked.limit)
    return {
        "matches": [
            {
                "managed_image_name": match.image.name,
                "satisfies": match.satisfies,
                "library_count": match.library_count,
                "missing": [item.requirement for item in match.missing if not item.conflicts],
                "conflicting": [item.requirement for item in match.missing if item.conflicts],
            }
            for match in found
        ]
    }


def model_answer(model: MLModel) -> dict[str, Any]:
    model.refresh_from_db()
    present = Assignment.objects.with_image().filter(model=model)
    default = default_image(model.workspace_id)
    return {"model": describe_model(model, present.exclude(state=AssignmentState.PAST), default)}


def describe_model(model: MLModel, present: Any, default: DefaultImage | None) -> dict[str, Any]:
    by_state = {item.state: item for item in present}
    runs_on = by_state.get(AssignmentState.CURRENT) or default
    return {
        "model_id": {"uuid": model.pk},
        "workspace_id": {"uuid": model.workspace_id},
        "name": model.name,
        "description": model.description,
        "python_version": model.python_version,
        "requirements": model.requirements,
        "image": by_state.get(AssignmentState.CURRENT),
        "image_source": source_of(runs_on) if runs_on else None,
        "run_time_info": run_settings(model.asks),
        "next_image": by_state.get(AssignmentState.WAITING),
        "creation_time": model.created_at,
        "update_time": model.updated_at,
        "last_use_time": model.last_used_at,
    }
