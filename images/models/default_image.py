"""The default image of a workspace, which its models without an image of their own run on."""

from __future__ import annotations

from django.db import models

from images.models.ml_model import ChosenImage, ChosenImageQuerySet
from images.run_time.request import RunRequest
from workspaces.models import Workspace


class DefaultImageQuerySet(ChosenImageQuerySet["DefaultImage"]):
    pass


class DefaultImage(ChosenImage):
    """One row for a workspace that has a default; `run_request` holds for models that say nothing else."""

    workspace = models.OneToOneField(
        Workspace, models.CASCADE, primary_key=True, related_name="default_image"
    )
    run_request = models.JSONField(default=dict, blank=True)
    set_at = models.DateTimeField(auto_now=True)

    objects = DefaultImageQuerySet.as_manager()

    class Meta:
        constraints = [*ChosenImage.Meta.constraints]

    def __str__(self) -> str:
        return f"{self.label} for {self.workspace}"

    @property
    def asks(self) -> RunRequest:
        """What runs ask of the machine, unless their model says something else."""
        return RunRequest.of_json(self.run_request)
