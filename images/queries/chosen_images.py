"""The image that a model runs on: its own, else the default of its workspace."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from images.models import Assignment, ChosenImage, DefaultImage, MLModel


class ImageSource(StrEnum):
    """Who chose the image that a model runs on."""

    MODEL = "MODEL"
    WORKSPACE_DEFAULT = "WORKSPACE_DEFAULT"


def own_image(model: MLModel) -> Assignment | None:
    """The image that was chosen for the model itself."""
    return Assignment.objects.current().with_image().filter(model=model).first()


def default_image(workspace_id: UUID) -> DefaultImage | None:
    """The default image of a workspace, if it has one."""
    return DefaultImage.objects.with_image().filter(workspace=workspace_id).first()


def image_to_run_on(model: MLModel) -> ChosenImage | None:
    """The model's own image, else its workspace's default: two queries at most."""
    return own_image(model) or default_image(model.workspace_id)


def source_of(chosen: ChosenImage) -> ImageSource:
    if isinstance(chosen, DefaultImage):
        return ImageSource.WORKSPACE_DEFAULT
    return ImageSource.MODEL
