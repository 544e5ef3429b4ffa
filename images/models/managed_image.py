"""Managed images: what a user asked for, and which build of it is current."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import GreaterThanOrEqual
from django.utils import timezone

from images.models.base_image import ImageType, PythonVersion
from images.models.lease import next_wake
from images.spec import ImageSpec
from ri_platform.errors import NotFound
from ri_platform.text import one_line
from workspaces.models import User, Workspace

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager

    from images.models.alteration import Alteration
    from images.models.build import Build
    from images.models.ml_model import Assignment
    from images.models.moving_tag import MovingTag
    from images.models.requirement_files import RequirementFiles

NAME_PATTERN = r"^[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*$"
NAME_RULE = (
    "Use 2 to 128 lower-case letters and digits, with single - or _ between them, "
    "starting with a letter."
)
# `$` would let a trailing newline through; `\Z` is the end and nothing else.
name_validator = RegexValidator(NAME_PATTERN.replace("$", r"\Z"), NAME_RULE)


# What lists of images are sorted by beside the name, which decides among equals.
SORT_COLUMNS = (
    "status", "python_version", "size_bytes", "library_count", "created_at", "updated_at",
)  # fmt: skip


class Status(models.TextChoices):
    BUILDING_FIRST_TIME = "BUILDING_FIRST_TIME", "Building"
    REBUILDING = "REBUILDING", "Rebuilding"
    READY = "READY", "Ready"
    FAILED = "FAILED", "Failed"
    OUTDATED = "OUTDATED", "Outdated"


class ImportPolicy(models.TextChoices):
    """What becomes of an image whose libraries cannot be imported (docs/decisions/0017)."""

    WARN = "warn", "Tell it once the image is ready"
    REFUSE = "refuse", "Fail the build"
    OFF = "off", "Do not try the imports"


class ManagedImageQuerySet(models.QuerySet["ManagedImage"]):
    def existing(self) -> ManagedImageQuerySet:
        """The images that every list shows: those that nobody has removed."""
        return self.filter(removed_at__isnull=True)

    def removed(self) -> ManagedImageQuerySet:
        """The latest first, with who removed them."""
        removed = self.filter(removed_at__isnull=False).select_related("removed_by")
        return removed.order_by("-removed_at")

    def being_deleted(self) -> ManagedImageQuerySet:
        """Removed for good, with a repository that still has to go; only then is the name free again."""
        return self.filter(
            Q(deletion_due_at__lte=timezone.now()) | Q(deletion_began_at__isnull=False)
        )

    def usable(self) -> ManagedImageQuerySet:
        """With a build that can be pulled, whatever becomes of a later one."""
        return self.existing().filter(current_build__isnull=False)

    def visible_to(self, user: User) -> ManagedImageQuerySet:
        """Managed images belong to the instance: every active account sees all of them."""
        return self.existing() if user.is_active else self.none()

    def named(self, user: User, name: str) -> ManagedImage:
        """The image of this name, if `user` may see it. Raises `NotFound`."""
        found = self.visible_to(user).filter(name=name).first() if is_valid_name(name) else None
        if found is None:
            raise NotFound(f"There is no managed image named {name}.")
        return found

    def lock(self, image: ManagedImage) -> ManagedImage:
        """The locked row of an image. Raises `NotFound` if it has been removed."""
        locked = self.existing().select_for_update().filter(pk=image.pk).first()
        if locked is None:
            raise NotFound(f"There is no managed image named {image.name}.")
        return locked


class ManagedImage(models.Model):
    """A managed image. Seven columns hold its `spec`: validated at the edge, never parsed from text again."""

    audit_type: ClassVar[str] = "managed_image"

    name = models.CharField(max_length=128, unique=True, validators=[name_validator])
    # For people; no part of what is built from its spec.
    description = models.CharField(max_length=500, blank=True, validators=[one_line])
    image_type = models.CharField(max_length=16, choices=ImageType.choices, default=ImageType.ALL)
    python_version = models.CharField(max_length=8, choices=PythonVersion.choices)
    pip_requirements = models.JSONField(default=list, blank=True)
    os_packages = models.JSONField(default=list, blank=True)
    # Libraries without a wheel may be built from source, which runs their own build code.
    allow_source = models.BooleanField(default=False)
    # Names of explicit indexes from which any of its libraries may come.
    indexes = models.JSONField(default=list, blank=True)
    # Pre-releases of any of its libraries count as releases.
    allow_prereleases = models.BooleanField(default=False)
    # What a container of it starts with, `images.run_time.settings.RunTime`.
    run_time = models.JSONField(default=dict, blank=True)
    status = models.CharField(
        max_length=24, choices=Status.choices, default=Status.BUILDING_FIRST_TIME, db_index=True
    )
    # Empty: as the installation has it (RI_IMPORT_CHECK).
    import_policy = models.CharField(max_length=8, choices=ImportPolicy.choices, blank=True)
    current_build = models.ForeignKey(
        "images.Build", models.RESTRICT, null=True, blank=True, related_name="+"
    )
    # Both are the current build's, here so that indexes have the images by them; 0 without one. A trigger
    # writes them with `current_build`, whichever version of the platform sets it.
    size_bytes = models.BigIntegerField(db_default=0)
    library_count = models.PositiveIntegerField(db_default=0)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_in = models.ForeignKey(
        Workspace, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Whose spec it began with; of no consequence but that the two can be compared.
    copied_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now(), db_index=True)

    repository_ready_at = models.DateTimeField(null=True, blank=True)
    repository_error = models.TextField(blank=True)
    # Repositories of before there were channels let no tag move.
    tags_may_move = models.BooleanField(default=False)
    # When its name was entered in the registry's own list of names (`images.verification.names`).
    entered_at = models.DateTimeField(null=True, blank=True)
    # When the sweeper wakes the registry worker for this image again, if its repository is due.
    repository_due_at = models.DateTimeField(default=next_wake)
    removed_at = models.DateTimeField(null=True, blank=True)
    removed_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    # Until then a removed image can be restored; afterwards its repository is deleted.
    deletion_due_at = models.DateTimeField(null=True, blank=True)
    # Set before AWS is asked, so that nothing is restored whose repository is going.
    deletion_began_at = models.DateTimeField(null=True, blank=True)
    # When a model last ran on it, to the minute.
    last_used_at = models.DateTimeField(null=True, blank=True)

    assignments: RelatedManager[Assignment]
    alterations: RelatedManager[Alteration]
    moving_tags: RelatedManager[MovingTag]

    objects = ManagedImageQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(name__regex=NAME_PATTERN) & Q(GreaterThanOrEqual(Length("name"), 2)),
                name="managed_image_name_is_valid",
            ),
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="managed_image_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(import_policy__in=["", *ImportPolicy.values]),
                name="managed_image_import_policy_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[Status.READY, Status.REBUILDING, Status.OUTDATED])
                | Q(current_build__isnull=False),
                name="managed_image_usable_has_a_build",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.BUILDING_FIRST_TIME) | Q(current_build__isnull=True),
                name="managed_image_first_build_has_no_current",
            ),
            models.CheckConstraint(
                condition=Q(removed_at__isnull=False, deletion_due_at__isnull=False)
                | Q(
                    removed_at__isnull=True,
                    deletion_due_at__isnull=True,
                    deletion_began_at__isnull=True,
                ),
                name="managed_image_removed_is_due_for_deletion",
            ),
        ]
        indexes = [
            # Whose repository is made next (`images.jobs.repository_turns`), and whose were within the hour.
            models.Index(
                fields=["created_by", "id"],
                condition=Q(repository_ready_at=None, removed_at=None),
                name="managed_image_unprepared",
            ),
            models.Index(fields=["repository_ready_at"], name="managed_image_prepared"),
            models.Index(
                fields=["repository_due_at"],
                condition=Q(repository_ready_at__isnull=False, removed_at=None),
                name="managed_image_tidied",
            ),
            # The orders of the pane, each read from wherever a page begins (ri_platform/pages.py).
            *(
                models.Index(
                    fields=[column, "name"],
                    condition=Q(removed_at__isnull=True),
                    name=f"image_by_{column}",
                )
                for column in SORT_COLUMNS
            ),
            models.Index(
                fields=["removed_at"],
                condition=Q(removed_at__isnull=False),
                name="image_removed",
            ),
            # Parts of names, by their trigrams.
            GinIndex(fields=["name"], opclasses=["gin_trgm_ops"], name="image_by_part_of_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def build_numbered(self, number: str | int) -> Build:
        """The build of this number, as people or programs give it. Raises `NotFound`."""
        found = self.builds.select_related("base_image", "requested_by").numbered(number)
        if found is None:
            raise NotFound(f"{self.name} has no build {str(number)[:20]}.")
        return found

    def revision_numbered(self, number: str | int) -> Build:
        """The build of this number, if it succeeded. Raises `NotFound`."""
        found = self.builds.select_related("base_image").revisions().numbered(number)
        if found is None:
            raise NotFound(f"{self.name} has no successful build {str(number)[:20]}.")
        return found

    @property
    def requirement_files(self) -> RequirementFiles | None:
        """The files that its spec was read from, if from files: those of the newest build, as is the spec."""
        newest = self.builds.select_related("requirement_files").first()
        return newest.requirement_files if newest else None

    @property
    def is_restorable(self) -> bool:
        """Removed, but not for good yet."""
        return (
            self.deletion_due_at is not None
            and self.deletion_began_at is None
            and self.deletion_due_at > timezone.now()
        )

    @property
    def is_settled(self) -> bool:
        """Nothing will change by itself: a page needs no further poll."""
        return self.status in (Status.READY, Status.FAILED)

    @property
    def owning_user(self) -> User | None:
        """The account that created it, as long as it is active."""
        creator = self.created_by
        return creator if creator is not None and creator.is_active else None

    @property
    def owner_name(self) -> str:
        """The owners who may change it beside Organization Administrators (`workspaces.access`)."""
        who = self.owning_user.username if self.owning_user else ""
        members = f"members of {self.created_in.name}" if self.created_in else ""
        words = " and ".join(word for word in (who, members) if word)
        return (
            words[:1].upper() + words[1:] if not who else words
        ) or "Organization Administrators"

    @property
    def spec(self) -> ImageSpec:
        """The content that is asked for; assigning one sets the columns that hold it."""
        columns = (field.name for field in fields(ImageSpec))
        return ImageSpec.of_columns({column: getattr(self, column) for column in columns})

    @spec.setter
    def spec(self, spec: ImageSpec) -> None:
        for column, value in spec.columns().items():
            setattr(self, column, value)


def is_valid_name(name: str) -> bool:
    return 2 <= len(name) <= 128 and re.fullmatch(NAME_PATTERN, name) is not None


def settled_status(image: ManagedImage) -> Status:
    """The status of an image with no build under way: it depends on its current build alone."""
    if image.current_build is None:
        return Status.FAILED
    if image.current_build.renewal or not image.current_build.base_image.is_current:
        return Status.OUTDATED
    return Status.READY
