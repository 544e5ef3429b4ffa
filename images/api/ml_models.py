"""REST for models and the images that they run on."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query

from images.api.ml_model_schemas import (
    BuildFittingIn,
    HistoryOut,
    ImageChoice,
    MatchLimit,
    ModelIn,
    ModelMatches,
    ModelPatch,
    ModelsOut,
    OneModel,
    ResolvedOut,
    ValidateImageIn,
)
from images.models import Assignment, AssignmentState, MLModel, PythonVersion
from images.operations import ml_models, runtime_image, swaps
from images.operations.ml_models import EditModel
from images.queries.base_images import newest_python
from images.queries.matching import match_images, wanted_by_model
from ri_platform.api import ERRORS, router
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, guarded
from workspaces.models import Workspace

routes = router("Models", "The models of workspaces, each of which runs on one image.")


@routes.post(
    "/models:validate-image", response={200: ResolvedOut, **ERRORS}, summary="Validate an image"
)
@guarded(Action.SEE_IMAGES)
def validate_image(request: HttpRequest, wanted: ValidateImageIn) -> dict[str, Any]:
    """Checks that the image of a `runTimeInfo` can be used now, and returns the reference to pull."""
    choice = wanted.run_time_info.custom_image.choice
    return resolved_as_json(runtime_image.validate_image(Actor.of(request), choice))


@routes.get(
    "/workspace/{workspace_id}/models", response={200: ModelsOut, **ERRORS}, summary="List models"
)
@guarded(Action.SEE_MODELS)
def list_models(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """Returns a workspace's models in the order of their names."""
    found = ml_models.list_models(workspace)
    return {"models": [described(model, model.assignments.all()) for model in found]}


@routes.post(
    "/workspace/{workspace_id}/models", response={200: OneModel, **ERRORS}, summary="Create a model"
)
@guarded(Action.CREATE_MODEL)
def create_model(request: HttpRequest, workspace: Workspace, wanted: ModelIn) -> dict[str, Any]:
    """Creates a model. The image is optional; the default Python version is the newest available one."""
    python = wanted.python_version or newest_python("all") or PythonVersion.V3_11
    command = EditModel(wanted.name, wanted.description, str(python), wanted.requirements)
    choice = wanted.image.choice if wanted.image else None
    return one(swaps.create_model_on(Actor.of(request), workspace, command, choice))


@routes.get("/models/{model_id}", response={200: OneModel, **ERRORS}, summary="Get a model")
@guarded(Action.SEE_MODELS)
def get_model(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Returns a model with the image that it runs on."""
    return one(model)


@routes.patch("/models/{model_id}", response={200: OneModel, **ERRORS}, summary="Change a model")
@guarded(Action.EDIT_MODEL)
def edit_model(request: HttpRequest, model: MLModel, wanted: ModelPatch) -> dict[str, Any]:
    """Changes the name, description, Python version or requirements. The image stays the same."""
    given = wanted.model_dump(exclude_none=True)
    command = EditModel(
        given.get("name", model.name),
        given.get("description", model.description),
        str(given.get("python_version", model.python_version)),
        given.get("requirements", model.requirements),
    )
    return one(ml_models.edit_model(Actor.of(request), model, command))


@routes.delete("/models/{model_id}", response={200: Nothing, **ERRORS}, summary="Remove a model")
@guarded(Action.REMOVE_MODEL)
def remove_model(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Removes a model and the history of its images. The images themselves stay."""
    ml_models.remove_model(Actor.of(request), model)
    return {}


@routes.get(
    "/models/{model_id}/image", response={200: ResolvedOut, **ERRORS}, summary="Resolve the image"
)
@guarded(Action.RESOLVE_IMAGE)
def resolve_model_image(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Returns the image to pull now, by digest. 503 with `Retry-After` during the image's first build."""
    return resolved_as_json(runtime_image.resolve(model))


@routes.put(
    "/models/{model_id}/image", response={200: OneModel, **ERRORS}, summary="Swap the image"
)
@guarded(Action.SWAP_IMAGE)
def swap_model_image(request: HttpRequest, model: MLModel, wanted: ImageChoice) -> dict[str, Any]:
    """Swaps at once. An image in its first build becomes `nextImage`, and is swapped to when it is ready."""
    swaps.swap_image(Actor.of(request), model, wanted.choice)
    return one(model)


@routes.get(
    "/models/{model_id}/image/history",
    response={200: HistoryOut, **ERRORS},
    summary="List a model's images",
)
@guarded(Action.SEE_MODELS)
def list_model_image_history(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Returns the newest hundred images that it ran on, runs on or waits for, newest first."""
    history = Assignment.objects.with_image().filter(model=model)[:100]
    return {"images": [assignment_described(item) for item in history]}


@routes.post(
    "/models/{model_id}/image:swapBack/{assignment_id}",
    response={200: OneModel, **ERRORS},
    summary="Swap back",
)
@guarded(Action.SWAP_IMAGE)
def swap_model_image_back(
    request: HttpRequest, model: MLModel, assignment_id: int
) -> dict[str, Any]:
    """Swaps the model back to an image of its history."""
    swaps.swap_image(Actor.of(request), model, swaps.past_choice(model, assignment_id))
    return one(model)


@routes.post(
    "/models/{model_id}/image:build",
    response={200: OneModel, **ERRORS},
    summary="Build an image that fits",
)
@guarded(Action.SWAP_IMAGE)
def build_image_for_model(
    request: HttpRequest, model: MLModel, wanted: BuildFittingIn
) -> dict[str, Any]:
    """Builds an image with exactly the model's requirements, and swaps to it when it is ready."""
    swaps.build_one_that_fits(Actor.of(request), model, wanted.name)
    return one(model)


@routes.post(
    "/models/{model_id}/image:stopWaiting",
    response={200: OneModel, **ERRORS},
    summary="Call off a swap that waits",
)
@guarded(Action.SWAP_IMAGE)
def stop_waiting_for_image(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Cancels the waiting swap: the model keeps its image. The other image is still built."""
    swaps.stop_waiting(Actor.of(request), model)
    return one(model)


@routes.get(
    "/models/{model_id}/matches",
    response={200: ModelMatches, **ERRORS},
    summary="Match images to a model",
)
@guarded(Action.SEE_MODELS)
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


def one(model: MLModel) -> dict[str, Any]:
    model.refresh_from_db()
    present = Assignment.objects.with_image().filter(model=model)
    return {"model": described(model, present.exclude(state=AssignmentState.PAST))}


def described(model: MLModel, present: Any) -> dict[str, Any]:
    by_state = {item.state: assignment_described(item) for item in present}
    return {
        "model_id": {"uuid": model.pk},
        "workspace_id": {"uuid": model.workspace_id},
        "name": model.name,
        "description": model.description,
        "python_version": model.python_version,
        "requirements": model.requirements,
        "image": by_state.get(AssignmentState.CURRENT),
        "next_image": by_state.get(AssignmentState.WAITING),
        "creation_time": model.created_at,
        "update_time": model.updated_at,
        "last_use_time": model.last_used_at,
    }


def assignment_described(item: Assignment) -> dict[str, Any]:
    return {
        "id": item.pk,
        "state": item.state,
        "standing": runtime_image.usability(item).name,
        "managed_image_name": item.image_name or None,
        "build": item.build_number,
        "custom_image": custom_image(item.external_reference, item.pull_secret),
        "assigned_by": item.assigned_by.username if item.assigned_by else "",
        "creation_time": item.created_at,
        "begin_time": item.began_at,
        "end_time": item.ended_at,
    }


def custom_image(reference: str, pull_secret: str) -> dict[str, Any] | None:
    if not reference:
        return None
    return {"name": reference, "pull_secret": {"name": pull_secret} if pull_secret else None}


def resolved_as_json(found: runtime_image.Resolved) -> dict[str, Any]:
    return {
        "reference": found.reference,
        "digest": found.digest,
        "pull_secret": {"name": found.pull_secret} if found.pull_secret else None,
        "managed_image_name": found.image_name or None,
        "build": found.build_number,
    }
