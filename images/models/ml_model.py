"""Models: what runs on images. Each stands in a workspace and runs on one image at a time."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower
from django.utils import timezone

from images.models.base_image import PythonVersion
from images.models.build import Build
from images.models.managed_image import ManagedImage
from images.requirements import PipRequirement
from images.run_time.request import RunRequest
from ri_platform.errors import NotFound
from workspaces.access import Actor
from workspaces.models import User, Workspace

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager


C = TypeVar("C", bound="ChosenImage")


class MLModelQuerySet(models.QuerySet["MLModel"]):
    def visible_to(self, actor: Actor) -> MLModelQuerySet:
        return self.filter(workspace__in=Workspace.objects.visible_to(actor))

    def without_own_image(self) -> MLModelQuerySet:
        """Those that run on their workspace's default image, if it has one."""
        own = Assignment.objects.current().filter(model=OuterRef("pk"))
        return self.filter(~Exists(own))

    def lock(self, model: MLModel) -> MLModel:
        """The locked row of a model. Raises `NotFound` if it has been removed."""
        locked = self.select_for_update().filter(pk=model.pk).first()
        if locked is None:
            raise NotFound(f"There is no model named {model.name}.")
        return locked


class MLModel(models.Model):
    """A machine-learning model. `requirements` is the text as its people wrote it; `pip_requirements` is what
    of it holds for the model's Python, in the form of `ManagedImage.pip_requirements` (`needs` as values);
    `indexes` and `allow_prereleases` are what its options say, as `ManagedImage` has them.
    """

    audit_type: ClassVar[str] = "model"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="models")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, max_length=2000)
    python_version = models.CharField(max_length=8, choices=PythonVersion.choices)
    requirements = models.TextField(blank=True)
    pip_requirements = models.JSONField(default=list, blank=True)
    indexes = models.JSONField(default=list, blank=True)
    allow_prereleases = models.BooleanField(default=False)
    # What a run of it asks of the machine, `images.run_time.request.RunRequest`.
    run_request = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # When its image was last asked for by what runs it, to the minute.
    last_used_at = models.DateTimeField(null=True, blank=True)

    assignments: RelatedManager[Assignment]

    objects = MLModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = "model"
        constraints = [
            models.UniqueConstraint(
                "workspace", Lower("name"), name="model_name_is_unique_in_its_workspace"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="model_is_named"),
        ]
        # The order of a workspace's list, read from wherever a page begins.
        indexes = [models.Index(fields=["workspace", "name"], name="model_by_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def needs(self) -> tuple[PipRequirement, ...]:
        """The libraries that an image must have for it."""
        return tuple(map(PipRequirement.of_json, self.pip_requirements))

    @property
    def asks(self) -> RunRequest:
        """What its runs ask of the machine."""
        return RunRequest.of_json(self.run_request)


class ChosenImageQuerySet(models.QuerySet[C]):
    def with_image(self) -> Self:
        """With all that says whether the image can be used, in one query."""
        return self.select_related("image__current_build", "build", "assigned_by")


class ChosenImage(models.Model):
    """A managed image, by name and perhaps pinned to one of its builds, or an external one.

    Names and numbers stay when the image is gone, so that the choice can still be read.
    """

    image = models.ForeignKey(
        ManagedImage, models.SET_NULL, null=True, blank=True, related_name="%(class)ss"
    )
    image_name = models.CharField(max_length=128, blank=True)
    # Pinned to this build; without one, the image's current build is followed.
    build = models.ForeignKey(Build, models.SET_NULL, null=True, blank=True, related_name="+")
    build_number = models.PositiveIntegerField(null=True, blank=True)
    external_reference = models.CharField(max_length=512, blank=True)
    pull_secret = models.CharField(max_length=253, blank=True)
    assigned_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(image_name="") ^ Q(external_reference=""),
                name="%(class)s_is_managed_or_external",
            ),
            models.CheckConstraint(
                condition=~Q(image_name="")
                | Q(image__isnull=True, build__isnull=True, build_number__isnull=True),
                name="%(class)s_external_has_no_image",
            ),
            models.CheckConstraint(
                condition=Q(image_name="") | Q(pull_secret=""),
                name="%(class)s_managed_has_no_pull_secret",
            ),
        ]

    @property
    def label(self) -> str:
        """The image as people name it: its name, with the build if it is pinned, or the reference."""
        pinned = f" build {self.build_number}" if self.build_number else ""
        return f"{self.image_name}{pinned}" if self.image_name else self.external_reference

    @property
    def can_be_pulled(self) -> bool:
        """Whether there is a digest to pull; an external image is taken as it is."""
        if self.image is None:
            return bool(self.external_reference)
        return self.build is not None or self.image.current_build_id is not None

    @property
    def choice_columns(self) -> dict[str, Any]:
        """The columns that say which image it is."""
        columns = (
            "image", "image_name", "build", "build_number", "external_reference", "pull_secret",
        )  # fmt: skip
        return {column: getattr(self, column) for column in columns}

    def is_same_image_as(self, other: ChosenImage) -> bool:
        """Whether both name the same image, pinned and pulled in the same way."""
        columns = ("image_id", "build_number", "external_reference", "pull_secret")
        return all(getattr(self, column) == getattr(other, column) for column in columns)


class AssignmentState(models.TextChoices):
    """Whether a model waits for an image, runs on it, or ran on it."""

    WAITING = "waiting", "Waiting"
    CURRENT = "current", "Current"
    PAST = "past", "Past"


class AssignmentQuerySet(ChosenImageQuerySet["Assignment"]):
    def current(self) -> AssignmentQuerySet:
        return self.filter(state=AssignmentState.CURRENT)

    def waiting(self) -> AssignmentQuerySet:
        return self.filter(state=AssignmentState.WAITING)


class Assignment(ChosenImage):
    """An image that a model runs on, ran on, or will run on as soon as it is READY."""

    model = models.ForeignKey(MLModel, models.CASCADE, related_name="assignments")
    state = models.CharField(max_length=8, choices=AssignmentState.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    began_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            *ChosenImage.Meta.constraints,
            models.CheckConstraint(
                condition=Q(
                    state=AssignmentState.WAITING, began_at__isnull=True, ended_at__isnull=True
                )
                | Q(state=AssignmentState.CURRENT, began_at__isnull=False, ended_at__isnull=True)
                | Q(state=AssignmentState.PAST, began_at__isnull=False, ended_at__isnull=False),
                name="assignment_state_fits_its_times",
            ),
            models.UniqueConstraint(
                fields=["model"],
                condition=Q(state=AssignmentState.CURRENT),
                name="model_runs_on_one_image",
            ),
            models.UniqueConstraint(
                fields=["model"],
                condition=Q(state=AssignmentState.WAITING),
                name="model_waits_for_one_image",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} for {self.model}"

    def begin(self, present: Assignment | None) -> None:
        """Become the model's current one, in place of the present."""
        if present is not None:
            present.end()
        self.state, self.began_at = AssignmentState.CURRENT, timezone.now()
        self.save()

    def end(self) -> None:
        """Become one of the past."""
        self.state, self.ended_at = AssignmentState.PAST, timezone.now()
        self.save(update_fields=["state", "ended_at"])
