"""Schemas of models and their images."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from images.models import Assignment, AssignmentState, ManagedImage, MLModel, PythonVersion
from images.operations.swaps import Choice, ExternalChoice, ManagedChoice
from images.requirements import MAX_REQUIREMENTS_TEXT
from ri_platform.api import Camel, Line, Lines
from ri_platform.text import column_length
from workspaces.api.guard import Id


class PullSecret(Camel):
    """The secret that an external image is pulled with."""

    name: Line = Field(
        max_length=column_length(Assignment, "pull_secret"), examples=["team-registry"]
    )
    """The secret's name where the model runs, not the secret itself."""


class CustomImage(Camel):
    """An image that the platform did not build, as the original's `customImage`."""

    name: Line = Field(
        min_length=1,
        max_length=column_length(Assignment, "external_reference"),
        examples=["registry.example.com/team/image:1.2"],
    )
    """The reference by which it is pulled."""
    pull_secret: PullSecret | None = None
    """The secret that it is pulled with, if it needs one."""


class ImageChoice(Camel):
    """Either a managed image, optionally pinned to one of its builds, or an external image."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"managedImageName": "churn", "build": 3}}
    )

    managed_image_name: Line | None = Field(None, max_length=column_length(ManagedImage, "name"))
    """The managed image's name."""
    build: int | None = Field(None, ge=1, le=2_000_000_000)
    """The number of the build to pin; if absent, the model follows the current build."""
    custom_image: CustomImage | None = None
    """The external image."""

    @model_validator(mode="after")
    def is_one(self) -> ImageChoice:
        if bool(self.managed_image_name) == bool(self.custom_image):
            raise ValueError("name a managed image or a custom image, one of the two")
        if self.build and not self.managed_image_name:
            raise ValueError("only a managed image has builds")
        return self

    @property
    def choice(self) -> Choice:
        if self.custom_image:
            secret = self.custom_image.pull_secret
            return ExternalChoice(self.custom_image.name, secret.name if secret else "")
        return ManagedChoice(self.managed_image_name or "", self.build)


class RunTimeInfo(Camel):
    """The public client's `runTimeInfo`; only its image is used."""

    custom_image: ImageChoice
    """The image to check."""


class ValidateImageIn(Camel):
    """The image to validate, as the public client sends it."""

    run_time_info: RunTimeInfo
    """The `runTimeInfo` of the public client."""


class ModelIn(Camel):
    """A new model."""

    name: Line = Field(
        min_length=1, max_length=column_length(MLModel, "name"), examples=["Churn 2026"]
    )
    """Its name, which is unique in its workspace."""
    description: Lines = Field("", max_length=column_length(MLModel, "description"))
    """Its purpose."""
    python_version: PythonVersion | None = None
    """The Python version that it needs, as `X.Y`; the newest available one if absent."""
    requirements: Lines = Field("", max_length=MAX_REQUIREMENTS_TEXT)
    """The text of a requirements.txt; environment markers are allowed."""
    image: ImageChoice | None = None
    """The image that it runs on; if absent, the model has no image yet."""


class ModelPatch(Camel):
    """The fields to change; absent fields stay unchanged."""

    name: Line | None = Field(
        None, min_length=1, max_length=column_length(MLModel, "name"), examples=["Churn 2026"]
    )
    """Its name, which is unique in its workspace."""
    description: Lines | None = Field(None, max_length=column_length(MLModel, "description"))
    """Its purpose."""
    python_version: PythonVersion | None = None
    """The Python version that it needs, as `X.Y`."""
    requirements: Lines | None = Field(None, max_length=MAX_REQUIREMENTS_TEXT)
    """The text of a requirements.txt, which replaces the current one."""


class AssignmentOut(Camel):
    """An image that a model runs on, ran on, or waits for."""

    id: int
    """Its number in the model's history."""
    state: AssignmentState
    """`current`, `waiting` or `past`."""
    standing: Literal["USABLE", "BUILDING", "FAILED", "REMOVED", "BLOCKED"]
    """Whether the model can run on it now."""
    managed_image_name: str | None = None
    """The managed image's name."""
    build: int | None = None
    """The build that it is pinned to."""
    custom_image: CustomImage | None = None
    """The external image."""
    assigned_by: str
    """The account that chose it; empty if the account no longer exists."""
    creation_time: datetime
    """When it was chosen."""
    begin_time: datetime | None = None
    """The time when the model began to run on it."""
    end_time: datetime | None = None
    """The time when the model stopped running on it."""


class ModelOut(Camel):
    """A model."""

    model_id: Id
    """The model's identifier."""
    workspace_id: Id
    """The workspace that it belongs to."""
    name: str = Field(examples=["Churn 2026"])
    """Its name."""
    description: str
    """Its purpose."""
    python_version: str
    """The Python version that it needs, as `X.Y`."""
    requirements: str
    """The requirements, exactly as they were written."""
    image: AssignmentOut | None = None
    """The image that it runs on."""
    next_image: AssignmentOut | None = None
    """The image that it waits for, and swaps to when that image is ready."""
    creation_time: datetime
    """When it was created."""
    update_time: datetime
    """When it was last changed."""
    last_use_time: datetime | None = None
    """The last time its image was resolved, to the minute."""


class OneModel(Camel):
    """A model."""

    model: ModelOut
    """The model."""


class ModelsOut(Camel):
    """The models of a workspace."""

    models: list[ModelOut]
    """In the order of their names."""


class HistoryOut(Camel):
    """The images of a model."""

    images: list[AssignmentOut]
    """In order, newest first."""


class BuildFittingIn(Camel):
    """The image to build."""

    name: Line = Field(min_length=1, max_length=column_length(ManagedImage, "name"))
    """The new image's name."""


class ResolvedOut(Camel):
    """The image to pull."""

    reference: str
    """The reference to pull by."""
    digest: str
    """The manifest's digest; empty for an external image that is referred to by tag."""
    pull_secret: PullSecret | None = None
    """The secret that an external image is pulled with."""
    managed_image_name: str | None = None
    """The managed image's name."""
    build: int | None = None
    """The number of the build."""


class ModelMatch(Camel):
    """An image and its fit for a model."""

    managed_image_name: str
    """The image's name."""
    satisfies: bool
    """Whether it meets all of the model's requirements."""
    library_count: int
    """The number of its libraries."""
    missing: list[str]
    """The requirements whose library is not installed."""
    conflicting: list[str]
    """The requirements whose library is installed in another version."""


class ModelMatches(Camel):
    """Images in the order of their fit for a model."""

    matches: list[ModelMatch]
    """The matches, best first."""


class MatchLimit(Camel):
    """The number of matches to return."""

    limit: int = Field(20, ge=1, le=100)
    """The largest number of images to return."""
