"""Schemas of models and their images."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from images.api.file_schemas import MAX_CHOICES, Choice
from images.api.run_time_info import (
    CustomImage,
    ImageChoice,
    PullSecret,
    RunSettingsOut,
    RunTimeInfo,
    run_settings,
    secret_named,
)
from images.models import AssignmentState, ChosenImage, ManagedImage, MLModel, PythonVersion
from images.operations import runtime_image
from images.queries.chosen_images import ImageSource
from images.requirements import MAX_REQUIREMENTS_TEXT
from ri_platform.api import Camel, Line, Lines, PageIn, PageOut
from ri_platform.text import column_length
from workspaces.api.guard import Id, Username

# A text that is read from the attribute of a row, where it is empty if there is none.
TextOrNone = Annotated[str | None, BeforeValidator(lambda text: text or None)]


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
    """The text of a requirements.txt, with its markers and options."""
    image: ImageChoice | None = None
    """The image that it runs on; if absent, it runs on its workspace's default image."""
    run_time_info: RunTimeInfo | None = Field(None, examples=[{"randomSeed": 42}])
    """The public client's `runTimeInfo`: its image, in the place of `image`, and what runs ask for."""

    @model_validator(mode="after")
    def names_one_image(self) -> ModelIn:
        if self.image and self.run_time_info and self.run_time_info.custom_image:
            raise ValueError("name the image once, in image or in runTimeInfo")
        return self


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
    run_time_info: RunTimeInfo | None = None
    """The public client's `runTimeInfo`. A `customImage` swaps the image; absent fields stay unchanged."""


class ChosenImageOut(Camel):
    """An image that was chosen for a model or a workspace."""

    standing: Literal["USABLE", "BUILDING", "FAILED", "REMOVED", "BLOCKED"]
    """Whether the model can run on it now."""
    managed_image_name: TextOrNone = Field(None, validation_alias="image_name")
    """The managed image's name."""
    build: int | None = Field(None, validation_alias="build_number")
    """The build that it is pinned to."""
    custom_image: CustomImage | None = None
    """The external image."""
    assigned_by: Username
    """The account that chose it; empty if the account no longer exists."""

    @staticmethod
    def resolve_standing(row: ChosenImage) -> str:
        """Of a row that `with_image()` has loaded."""
        return runtime_image.usability(row).name

    @staticmethod
    def resolve_custom_image(row: ChosenImage) -> dict[str, Any] | None:
        if not row.external_reference:
            return None
        return {"name": row.external_reference, "pull_secret": secret_named(row.pull_secret)}


class AssignmentOut(ChosenImageOut):
    """An image that a model runs on, ran on, or waits for."""

    id: int
    """Its number in the model's history."""
    state: AssignmentState
    """`current`, `waiting` or `past`."""
    creation_time: datetime = Field(validation_alias="created_at")
    """When it was chosen."""
    begin_time: datetime | None = Field(None, validation_alias="began_at")
    """The time when the model began to run on it."""
    end_time: datetime | None = Field(None, validation_alias="ended_at")
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
    """The image that was chosen for it."""
    image_source: ImageSource | None = None
    """`MODEL` if the image was chosen for the model; without one of its own, `WORKSPACE_DEFAULT`."""
    run_time_info: RunSettingsOut | None = None
    """What its runs ask of the machine."""
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


class ModelsOut(PageOut):
    """The models of a workspace."""

    models: list[ModelOut]
    """In the order of their names."""


class HistoryPageIn(PageIn):
    """The page of images to return."""

    page_size: int = Field(100, ge=1, le=1000)
    """The largest number of images to return."""


class HistoryOut(PageOut):
    """The images of a model."""

    images: list[AssignmentOut]
    """In order, newest first."""


class BuildFittingIn(Camel):
    """The image to build."""

    name: Line = Field(min_length=1, max_length=column_length(ManagedImage, "name"))
    """The new image's name."""
    indexes: list[Choice] = Field(default_factory=list, max_length=MAX_CHOICES, examples=[[]])
    """Names of explicit indexes from which any library may come, beside those that the requirements name."""
    allow_prereleases: bool = False
    """Whether pre-releases count as releases; `--pre` in the requirements says so, too."""


class ResolvedOut(Camel):
    """The image to pull."""

    reference: str
    """The reference to pull by."""
    repo_uri: str = Field(validation_alias="repository")
    """The repository, without tag and digest."""
    digest: str
    """The manifest's digest; empty for an external image that is referred to by tag."""
    tag: TextOrNone = Field(None, examples=["build-3"])
    """The tag of the build, or of the external image."""
    source: ImageSource | None = None
    """Whether the image was chosen for the model or is its workspace's default."""
    pull_secret: PullSecret | None = None
    """The secret that an external image is pulled with."""
    managed_image_name: TextOrNone = Field(None, validation_alias="image_name")
    """The managed image's name."""
    build: int | None = Field(None, validation_alias="build_number")
    """The number of the build."""

    run_time_info: RunSettingsOut | None = None
    """What the run asks of the machine: the model's word, else that of the workspace."""

    @staticmethod
    def resolve_run_time_info(found: runtime_image.RuntimeImage) -> dict[str, Any] | None:
        return run_settings(found.asks)

    @staticmethod
    def resolve_pull_secret(found: runtime_image.RuntimeImage) -> dict[str, str] | None:
        return secret_named(found.pull_secret)


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
