"""REST endpoints for the contents of images: origins of libraries, models, comparisons, suggestions."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from images.api import present
from images.api.alteration_schemas import ComparisonOut
from images.api.downloads import RevisionIn
from images.models import Build
from images.queries import capabilities, suggestions
from images.queries.comparison import Comparison, revision_of
from images.queries.images import image_named
from images.queries.library_origins import origins
from images.queries.usage import Use, use_of
from ri_platform.api import ERRORS, Camel, Line, router
from ri_platform.errors import NotFound
from ri_platform.numbers import number_of
from workspaces.access import Action, Actor
from workspaces.api.guard import RowId, guarded
from workspaces.models import User

routes = router(
    "Contents of images", "The libraries of images, the models that run on them, and comparisons."
)
MODELS_SHOWN = 200


class CompareIn(Camel):
    """The two builds to compare. Each is the current build of an image or an earlier one that succeeded."""

    left: Line = Field(min_length=1, max_length=140, examples=["churn@3"])
    """The left side: an image's name for its current build, or the name, `@` and the number of a build."""
    right: Line = Field(min_length=1, max_length=140, examples=["churn"])
    """The right side, in the same form."""


class SuggestIn(Camel):
    """The text that was typed so far."""

    text: Line = Field("", max_length=300, examples=["pan"])
    """The start of a library's name or, after `==`, of its version. For images, a part of the name."""


class SuggestionsOut(Camel):
    """Suggestions; at most eight."""

    suggestions: list[str]
    """Completions of the text."""


class OriginOut(Camel):
    """An installed library and its origin."""

    name: str = Field(examples=["numpy"])
    """Its name."""
    version: str
    """The version that is installed."""
    requirement: str
    """The requirement that asked for it; empty if none did."""
    through: list[str]
    """The libraries that require it."""
    in_base: bool
    """Whether the base image contains it in this version."""
    notes: list[str] = Field([], examples=[["attrs 21.1.0 was yanked from its index."]])
    """Sentences that its build told of it: a yanked release and why, files that another library has too."""


class OriginsOut(Camel):
    """The libraries of a build."""

    build: int
    """The number of the build."""
    libraries: list[OriginOut]
    """In the order of their names."""


class UsingModel(Camel):
    """A model that runs on the image."""

    model_id: RowId
    """The model."""
    workspace_id: RowId = Field(validation_alias="model.workspace_id")
    """The workspace that it belongs to."""
    name: str = Field(validation_alias="model.name", examples=["Churn 2026"])
    """The model's name."""
    build: int | None = Field(None, validation_alias="build_number")
    """The build that it is pinned to; absent if it follows the current build."""


class DefaultOf(Camel):
    """A workspace whose default image it is."""

    workspace_id: RowId
    """The workspace."""
    name: str = Field(validation_alias="workspace.name", examples=["Pricing"])
    """The workspace's name."""
    followers: int = Field(examples=[3])
    """The number of its models without an image of their own, which run on it."""
    build: int | None = Field(None, validation_alias="build_number")
    """The build that it is pinned to; absent if it follows the current build."""


class UseOut(Camel):
    """The models that run on an image, and the workspaces whose default it is."""

    models: list[UsingModel]
    """The first 200 of those in workspaces that the token's user sees, by workspace and name."""
    others: int
    """The number of further models."""
    defaults: list[DefaultOf]
    """The first 200 such workspaces that the token's user sees, by name."""
    other_defaults: int = Field(examples=[0])
    """The number of further workspaces."""


@routes.get(
    "/images:compare", response={200: ComparisonOut, **ERRORS}, summary="Compare two images"
)
@guarded(Action.SEE_IMAGES)
def compare_images(request: HttpRequest, asked: Query[CompareIn]) -> dict[str, Any]:
    """Returns the differences between two images or two builds: libraries, OS packages, requirements."""
    capabilities.require_enabled()
    user = Actor.of(request).user
    found = Comparison(side(user, asked.left, "left"), side(user, asked.right, "right"))
    return {
        "left": revision(found.left),
        "right": revision(found.right),
        "libraries": present.differences(found.libraries),
        "os_packages": present.differences(found.os_packages),
    }


@routes.get("/images:suggest", response={200: SuggestionsOut, **ERRORS}, summary="Suggest images")
@guarded(Action.SEE_IMAGES)
def suggest_images(request: HttpRequest, asked: Query[SuggestIn]) -> dict[str, Any]:
    """Returns names that contain a text, of images with at least one successful build."""
    capabilities.require_enabled()
    name = asked.text.partition(":")[0]
    return {"suggestions": suggestions.images(Actor.of(request).user, name)}


@routes.get(
    "/libraries:suggest", response={200: SuggestionsOut, **ERRORS}, summary="Suggest libraries"
)
@guarded(Action.SEE_IMAGES)
def suggest_libraries(request: HttpRequest, asked: Query[SuggestIn]) -> dict[str, Any]:
    """Libraries that are installed in some image, and their versions, as `name` or `name==version`."""
    capabilities.require_enabled()
    return {"suggestions": suggestions.libraries(asked.text)}


@routes.get(
    "/images/{name}/libraries",
    response={200: OriginsOut, **ERRORS},
    summary="List an image's libraries",
)
@guarded(Action.SEE_IMAGES)
def list_image_libraries(
    request: HttpRequest, name: str, asked: Query[RevisionIn]
) -> dict[str, Any]:
    """Returns the installed libraries, and whether each was requested, is a dependency or is the base's."""
    build = revision_of(Actor.of(request).user, name, asked.build)
    return {"build": build.number, "libraries": [vars(item) for item in origins(build)]}


@routes.get(
    "/images/{name}/models",
    response={200: UseOut, **ERRORS},
    summary="List the models on an image",
)
@guarded(Action.SEE_IMAGES)
def list_image_models(request: HttpRequest, name: str) -> Use:
    """Returns the models that run on it, and the workspaces whose default it is.

    Those that the user does not see are only counted.
    """
    actor = Actor.of(request)
    return use_of(image_named(actor.user, name), actor, shown=MODELS_SHOWN)


def side(user: User, text: str, field: str) -> Build:
    """The build that `name` or `name@number` stands for. Raises `NotFound` with the field that named it."""
    name, at, number = text.strip().partition("@")
    wanted = number_of(number, 31)
    if at and wanted is None:
        raise NotFound(f"{number!r} is not the number of a build.", field=field)
    try:
        return revision_of(user, name, wanted)
    except NotFound as error:
        raise NotFound(error.message, hint=error.hint, field=field) from error


def revision(build: Build) -> dict[str, Any]:
    asked = present.spec(build.spec, build.base_image)
    return {
        "image_name": build.image.name,
        "build": build.number,
        "digest": build.manifest_digest,
        "base_image": str(build.base_image),
        "python_version": asked["python_version"],
        "size_bytes": build.size_bytes,
        "pip_requirements": asked["pip_requirements"],
        "package_requirements": asked["package_requirements"],
        "run_time": asked["run_time"],
        "creation_time": build.created_at,
    }
