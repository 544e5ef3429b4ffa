"""What the API of models takes and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from images.models import AssignmentState, PythonVersion
from images.swaps import Choice, ExternalChoice, ManagedChoice
from ri_platform.api import Camel, Text
from workspaces.api import Id


class PullSecret(Camel):
    """The name of the secret that an external image is pulled with."""

    name: Text


class CustomImage(Camel):
    """An image that the platform did not build, by reference, as the original's `customImage`."""

    name: Text = Field(min_length=1)
    pull_secret: PullSecret | None = None


class ImageChoice(Camel):
    """A managed image by name, perhaps pinned to one of its builds, or an external one; one of the two."""

    managed_image_name: Text | None = None
    build: int | None = Field(None, ge=1, le=2_000_000_000)
    custom_image: CustomImage | None = None

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
    """The original's `runTimeInfo`, of which the image is looked at."""

    custom_image: ImageChoice


class ValidateImageIn(Camel):
    run_time_info: RunTimeInfo


class ModelIn(Camel):
    """`requirements` is text, as in a requirements.txt, with environment markers where they are needed."""

    name: Text = Field(min_length=1, max_length=120)
    description: Text = Field("", max_length=2000)
    python_version: PythonVersion | None = None
    requirements: str = Field("", max_length=100_000, pattern=r"^[^\x00]*$")
    image: ImageChoice | None = None


class ModelPatch(Camel):
    """What is left out stays as it is."""

    name: Text | None = Field(None, min_length=1, max_length=120)
    description: Text | None = Field(None, max_length=2000)
    python_version: PythonVersion | None = None
    requirements: str | None = Field(None, max_length=100_000, pattern=r"^[^\x00]*$")


class AssignmentOut(Camel):
    """An image that a model runs on, ran on, or waits for; `standing` says whether it can be used."""

    id: int
    state: AssignmentState
    standing: Literal["USABLE", "BUILDING", "FAILED", "REMOVED", "BLOCKED"]
    managed_image_name: str | None = None
    build: int | None = None
    custom_image: CustomImage | None = None
    assigned_by: str
    creation_time: datetime
    begin_time: datetime | None = None
    end_time: datetime | None = None


class ModelOut(Camel):
    """`image` is what the model runs on, `nextImage` what it waits for."""

    model_id: Id
    workspace_id: Id
    name: str
    description: str
    python_version: str
    requirements: str
    image: AssignmentOut | None = None
    next_image: AssignmentOut | None = None
    creation_time: datetime
    update_time: datetime
    last_use_time: datetime | None = None


class OneModel(Camel):
    model: ModelOut


class ModelsOut(Camel):
    models: list[ModelOut]


class HistoryOut(Camel):
    images: list[AssignmentOut]


class BuildFittingIn(Camel):
    """The name of the image to build."""

    name: Text


class ResolvedOut(Camel):
    """What to pull. `digest` is empty for an external image that is referred to by tag."""

    reference: str
    digest: str
    pull_secret: PullSecret | None = None
    managed_image_name: str | None = None
    build: int | None = None


class ModelMatch(Camel):
    """An image by how well it suits a model; `missing` and `conflicting` it does not meet."""

    managed_image_name: str
    satisfies: bool
    library_count: int
    missing: list[str]
    conflicting: list[str]


class ModelMatches(Camel):
    matches: list[ModelMatch]


class MatchLimit(Camel):
    limit: int = Field(20, ge=1, le=100)
