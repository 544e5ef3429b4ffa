"""Builds: each attempt to produce a managed image's container image, and all that it recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils import timezone

from images.models.base_image import BaseImage
from images.models.build_phase import BuildPhase
from images.models.lease import Lease, LeaseQuerySet, WorkState, lease_constraints
from images.models.managed_image import ManagedImage
from images.models.requirement_files import RequirementFiles
from images.models.spec_field import SpecField
from ri_platform.numbers import number_of
from workspaces.models import User

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager


class BuildReason(models.TextChoices):
    """The reason that a build was asked for."""

    CREATE = "create", "Created"
    REBUILD = "rebuild", "Rebuilt"
    ALTER = "alter", "Altered"
    ROLL_BACK = "roll_back", "Rolled back"
    UPGRADE = "upgrade", "Base image upgraded"
    RENEW = "renew", "Built from source anew"
    ADOPT = "adopt", "Adopted from the registry"


# Builds that the platform begins by itself: those of people go before them.
OF_THE_PLATFORM = (BuildReason.UPGRADE, BuildReason.RENEW)
# A repository that takes longer to be made than this is waited for by no worker.
MADE_WITHIN = timedelta(seconds=10)


class BuildQuerySet(LeaseQuerySet["Build"]):
    def revisions(self) -> BuildQuerySet:
        """Those that succeeded: what their images were, one after the other."""
        return self.filter(state=WorkState.SUCCEEDED)

    def numbered(self, number: str | int) -> Build | None:
        """The one of this number among one image's; None as well for what is no number."""
        wanted = number_of(number, 31)
        return None if wanted is None else self.filter(number=wanted).first()

    def of_the_platform(self) -> BuildQuerySet:
        """Those that the platform began by itself."""
        return self.filter(reason__in=OF_THE_PLATFORM)

    def startable(self) -> BuildQuerySet:
        """Claimable builds whose base image is there, and whose repository is, or is being made."""
        there = Q(image__repository_ready_at__isnull=False)
        coming = Q(image__repository_error="", created_at__gt=timezone.now() - MADE_WITHIN)
        # The indexes of these are found by `active`.
        return (
            self.active()
            .claimable()
            .filter(
                there | coming,
                Q(not_before=None) | Q(not_before__lte=timezone.now()),
                image__removed_at__isnull=True,
                base_image__state=WorkState.SUCCEEDED,
            )
        )


class Build(Lease):
    """One attempt. Its number counts within the image; `build-<number>` is the tag it pushes.
    `timings` maps a phase to `{"started_at": RFC 3339, "seconds": float | null}`; null while it runs."""

    image = models.ForeignKey(ManagedImage, models.CASCADE, related_name="builds")
    number = models.PositiveIntegerField()
    base_image = models.ForeignKey(BaseImage, models.PROTECT, related_name="builds")
    spec = SpecField()
    reason = models.CharField(
        max_length=16, choices=BuildReason.choices, default=BuildReason.CREATE
    )
    # What the spec was read from, if from files.
    requirement_files = models.ForeignKey(
        RequirementFiles, models.RESTRICT, null=True, blank=True, related_name="builds"
    )
    requested_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # The image's when this was asked for: an annotation of what is pushed, so a roll-back pushes the same.
    description = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    failed_attempts = models.JSONField(default=list, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    phase = models.CharField(max_length=16, choices=BuildPhase.choices, blank=True)
    timings = models.JSONField(default=dict, blank=True)
    lock = models.TextField(blank=True)
    # What its image will have, where that was known when it was asked for (`images.queries.foresight`).
    foreseen_digest = models.CharField(max_length=71, default="", db_default="", blank=True)
    manifest_digest = models.CharField(max_length=71, blank=True)
    config_digest = models.CharField(max_length=71, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    pushed_bytes = models.BigIntegerField(default=0)
    library_count = models.PositiveIntegerField(default=0)
    # Native libraries that its image needs and does not have: of each the fields of `MissingLibrary`
    # (images/building/native/linking.py).
    missing_libraries = models.JSONField(default=list, blank=True)
    # Why its image is to be made anew by the platform, as a sentence; empty if it is not.
    renewal = models.CharField(max_length=300, blank=True)

    log_chunks: RelatedManager[BuildLogChunk]
    libraries: RelatedManager[InstalledLibrary]
    layers: RelatedManager[BuildLayer]

    objects = BuildQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            *lease_constraints("build"),
            models.UniqueConstraint(fields=["image", "number"], name="build_number_is_unique"),
            models.UniqueConstraint(
                fields=["image"],
                condition=Q(state__in=[WorkState.QUEUED, WorkState.RUNNING]),
                name="build_one_active_per_image",
            ),
            models.CheckConstraint(
                condition=~Q(state=WorkState.SUCCEEDED)
                | (Q(manifest_digest__startswith="sha256:") & ~Q(lock="")),
                name="build_succeeded_is_complete",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "lease_expires_at"],
                condition=Q(state__in=[WorkState.QUEUED, WorkState.RUNNING]),
                name="build_due",
            ),
            # Whose turn it is (`images.queries.fair_queue`): who has something, and the oldest of it.
            models.Index(
                fields=["requested_by", "created_at", "id"],
                condition=Q(state__in=[WorkState.QUEUED, WorkState.RUNNING]),
                name="build_by_user",
            ),
            # The images that have one configuration (`images.jobs.known_layers`).
            models.Index(
                fields=["config_digest"],
                condition=Q(state=WorkState.SUCCEEDED),
                name="build_by_config",
            ),
            # Whom the workers served within the hour (`images.queries.fair_queue`).
            models.Index(fields=["started_at"], name="build_started"),
        ]

    def __str__(self) -> str:
        return f"{self.image} build {self.number}"

    @property
    def expected_digest(self) -> str:
        """The digest that its image will have, or has; empty while something must be asked first, and
        once there will be none."""
        return self.manifest_digest or (self.foreseen_digest if self.is_active else "")

    @property
    def tag(self) -> str:
        return f"build-{self.number}"


class BuildLogChunk(models.Model):
    """A piece of a build's log; `offset` is where it starts, in characters of the whole log."""

    build = models.ForeignKey(Build, models.CASCADE, related_name="log_chunks")
    offset = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        ordering = ["offset"]
        constraints = [
            models.UniqueConstraint(fields=["build", "offset"], name="build_log_has_no_overlap")
        ]

    def __str__(self) -> str:
        return f"{self.build} log from {self.offset}"


class InstalledLibraryQuerySet(models.QuerySet["InstalledLibrary"]):
    def current(self) -> InstalledLibraryQuerySet:
        """Those in what some image is now."""
        return self.filter(current_of__isnull=False)


class InstalledLibrary(models.Model):
    """A library that really is in the image. `normalized_name` is PEP 503's, for searching."""

    build = models.ForeignKey(Build, models.CASCADE, related_name="libraries")
    name = models.CharField(max_length=200)
    normalized_name = models.CharField(max_length=200)
    version = models.CharField(max_length=100)
    # By which versions are compared (PEP 440): 1.0 and 1.0.0 are the same.
    normalized_version = models.CharField(max_length=100)
    # The image's name while this is in what the image is now; else null. Lists read these rows alone,
    # in the order of names, so a page costs the same with one image and with a hundred thousand.
    current_of = models.CharField(max_length=128, null=True, blank=True)  # noqa: DJ001 - see above
    # Of the wheel that it was installed from; empty for what the base image brought.
    sha256 = models.CharField(max_length=64, blank=True)
    # Set where that wheel was built here, of a source distribution.
    built_wheel = models.ForeignKey(
        "BuiltWheel",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="installed",
        db_index=False,
    )
    # What whoever uses it should know of it, as sentences: a yanked release, files that are another's.
    notes = models.JSONField(default=list, blank=True)

    objects = InstalledLibraryQuerySet.as_manager()

    class Meta:
        ordering = ["normalized_name"]
        constraints = [
            models.UniqueConstraint(
                fields=["build", "normalized_name"], name="library_is_installed_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["built_wheel"],
                condition=Q(built_wheel__isnull=False),
                name="library_by_built_wheel",
            ),
            models.Index(
                fields=["normalized_name", "current_of"],
                # With what matching counts by, which then fetches no row of any library.
                include=["version", "build"],
                condition=Q(current_of__isnull=False),
                name="current_library_by_name",
            ),
            models.Index(
                fields=["normalized_name", "normalized_version", "current_of"],
                condition=Q(current_of__isnull=False),
                name="current_library_by_version",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class CachedLayer(models.Model):
    """A layer that was made once: its inputs (the key) and its blob (digest, size).

    `key` is `images.building.layers.keys.wheel_layer_key`; the layer depends on nothing but it, so every
    later build of any image may refer to the same blob. A layer whose blob was lost is made again; if
    another release of the same Python compiles it to other bytes, the key has one more row, and the
    newest counts. A row of an adopted image has no contents, and no build takes it until they are known.
    """

    key = models.CharField(max_length=64)
    digest = models.CharField(max_length=71, db_index=True)
    diff_id = models.CharField(max_length=71)
    size_bytes = models.BigIntegerField()
    title = models.CharField(max_length=255)
    # What is in it, `LayerPaths.pack` (images/building/layers/paths.py). Empty for layers of OS packages,
    # and for those of before it was kept, which are made again.
    paths = models.BinaryField(default=bytes, blank=True)
    # What each build that has it tells of it, `images.building.layers.notes.as_json`.
    notes = models.JSONField(default=list, blank=True)
    # Which native libraries it has and needs, `NativeReport.pack` (images/building/native/report.py).
    # Empty for layers of before it was kept; those of wheels are made again.
    native = models.BinaryField(default=bytes, blank=True)
    # Of a layer of OS packages: all packages in the image, as `[name, version]`.
    os_packages = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "digest"], name="wheel_layer_is_recorded_once")
        ]

    def __str__(self) -> str:
        return self.title


class BuiltWheel(models.Model):
    """A wheel that this instance made of a source distribution.

    `key` is of the source, the base image, the OS packages and the locked libraries it was built with. Where
    it is built anew, as its file is not kept, the bytes may differ: then the newest counts. What it was made
    of, in which build and by whom is told by SBOM and provenance of every image that holds it
    (`images.attestations`).

    `source_key` leaves those libraries out. `hook_key` has them as pyproject.toml asks for them, and `asked`
    is what the source's own hook asked for besides then. `build_requirements` are `[name, version, sha256]`.
    """

    key = models.CharField(max_length=64)
    source_key = models.CharField(max_length=64, db_index=True)
    hook_key = models.CharField(max_length=64, db_index=True)
    asked = models.JSONField(default=list, blank=True)
    build_requirements = models.JSONField(default=list, blank=True)
    filename = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64, db_index=True)
    size_bytes = models.BigIntegerField()
    # The source distribution as the index gave it; the address holds no credentials.
    source_filename = models.CharField(max_length=255, blank=True)
    source_sha256 = models.CharField(max_length=64, blank=True)
    source_url = models.CharField(max_length=2048, blank=True)
    # The build of origin, by name: it is told also when that image is gone.
    image_name = models.CharField(max_length=128, blank=True)
    build_number = models.PositiveIntegerField(null=True, blank=True)
    builder = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "sha256"], name="built_wheel_is_recorded_once"),
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}$")
                & Q(filename__regex=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl$"),
                name="built_wheel_is_a_wheel",
            ),
        ]

    def __str__(self) -> str:
        return self.filename


class BuildLayer(models.Model):
    """A layer in a build's image: which repositories hold a blob follows from these rows."""

    build = models.ForeignKey(Build, models.CASCADE, related_name="layers")
    layer = models.ForeignKey(CachedLayer, models.PROTECT, related_name="uses")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["build", "position"], name="build_layer_position_is_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.layer} in {self.build}"
