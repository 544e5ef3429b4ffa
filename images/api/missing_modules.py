"""The REST endpoint for a model's run that failed for want of a module."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from pydantic import Field

from images.api.alteration_schemas import AlterationOut
from images.api.alterations import describe_alteration
from images.models import MLModel
from images.operations import alterations
from images.operations.ml_models import MODEL
from images.queries.missing_modules import MissingModule, explain_missing_module
from ri_platform.api import ERRORS, Camel, Line, router
from ri_platform.errors import DomainError
from workspaces.access import Action, Actor
from workspaces.api.guard import guarded

routes = router("Models", "The models of workspaces, each of which runs on one image.")


class MissingModuleIn(Camel):
    """The module that could not be imported."""

    module: Line = Field(min_length=1, max_length=1000, examples=["sklearn"])
    """Its name, or the line of the error that says `No module named`."""
    propose: bool = True
    """Whether to resolve an alteration of the model's image that adds the library, if its owners may."""


class ImageWithModule(Camel):
    """A READY image that has the library, and all else that the model needs."""

    managed_image_name: str
    """The image's name."""
    library_count: int
    """The number of its libraries."""


class MissingModuleOut(Camel):
    """The library that brings a module, and the ways to have it."""

    module: str = Field(examples=["sklearn"])
    """The module."""
    requirement: str = Field(examples=["scikit-learn"])
    """The library that brings it, with the versions that do; empty for a module of Python itself."""
    hint: str = Field(examples=["scikit-learn brings the module sklearn."])
    """What to do, in sentences."""
    installed: str = Field(examples=[""])
    """The library's version in the image that the model runs on; empty if it is not there."""
    images: list[ImageWithModule]
    """The first 20 images to swap to, those with the fewest libraries first."""
    alteration: AlterationOut | None = None
    """The alteration that adds the library to the model's image; ask for it until it is resolved."""
    alteration_refusal: str = Field(examples=[""])
    """Why there is no alteration, as a sentence; empty if there is one."""


class OneMissingModule(Camel):
    """The explanation of a missing module."""

    missing: MissingModuleOut
    """The explanation."""


@routes.post(
    "/models/{model_id}/image:missing",
    response={200: OneMissingModule, **ERRORS},
    summary="Explain a missing module",
)
@guarded(Action.SEE_MODELS, of=MODEL)
def explain_module(request: HttpRequest, model: MLModel, wanted: MissingModuleIn) -> dict[str, Any]:
    """Tells which library brings a module, which READY images have it, and what adding it would change.

    For a run that failed with `No module named …`. The model and its image stay as they are.
    """
    actor = Actor.of(request)
    found = explain_missing_module(actor.user, model, wanted.module)
    return {
        "missing": {
            "module": found.module,
            "requirement": str(found.library or ""),
            "hint": found.hint,
            "installed": found.installed,
            "images": [
                {"managed_image_name": item.image.name, "library_count": item.library_count}
                for item in found.images
            ],
            **alteration_fields(actor, found, wanted.propose),
        }
    }


def alteration_fields(actor: Actor, found: MissingModule, wanted: bool) -> dict[str, Any]:
    """The fields that tell of the alteration."""
    image = found.alterable
    if image is None or found.library is None:
        return {
            "alteration_refusal": "There is no image of this model's that could have the library."
        }
    if not wanted:
        return {"alteration_refusal": "None was asked for."}
    try:
        alteration = alterations.propose_library(actor, image, found.library)
    except DomainError as error:
        return {"alteration_refusal": str(error)}
    return {"alteration": describe_alteration(alteration), "alteration_refusal": ""}
