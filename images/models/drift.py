"""Drift: images that the registry no longer holds as recorded, and what is needed to push them again."""

from __future__ import annotations

import zlib
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from images.models.base_image import BaseImage
from images.models.build import Build
from images.models.lane import Lane
from images.models.lease import ACTIVE, Lease, LeaseQuerySet, WorkState, lease_constraints
from images.models.verification import HEALABLE, FindingCode

# Of a drift that is over, by healing or since the build is used no more.
OVER = (WorkState.SUCCEEDED, WorkState.CANCELLED)


class DriftQuerySet(LeaseQuerySet["Drift"]):
    def open(self) -> DriftQuerySet:
        """Those that are not healed, also those that cannot be."""
        return self.exclude(state__in=OVER)

    def healable(self) -> DriftQuerySet:
        """Those of which something can be pushed again."""
        return self.filter(codes__overlap=list(HEALABLE))

    def waiting(self) -> DriftQuerySet:
        """Repairs that no worker is at."""
        return self.healable().claimable()

    def in_lane(self, lane: Lane) -> DriftQuerySet:
        """Those that workers of a lane push again: the one in which the image was built."""
        of_sources = Q(build__isnull=False, build__spec__allow_source=True)
        return self.filter(of_sources if lane is Lane.SOURCES else ~of_sources)


class Drift(Lease):
    """A build or a base image of which the registry lacks something.

    Queued and running are a repair that is due; failed is one that cannot be: the same digest cannot be made
    again. `codes` are `FindingCode`s, `said` a sentence a finding.
    """

    build = models.ForeignKey(Build, models.CASCADE, null=True, blank=True, related_name="drifts")
    base_image = models.ForeignKey(
        BaseImage, models.CASCADE, null=True, blank=True, related_name="drifts"
    )
    codes = ArrayField(models.CharField(max_length=32, choices=FindingCode.choices))
    said = ArrayField(models.TextField())
    # The registry server has made the repository and its policy again, if they were gone. It does so before
    # each attempt.
    repository_made = models.BooleanField(default=False)
    # What the repair did, a line each.
    log = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DriftQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            *lease_constraints("drift"),
            models.CheckConstraint(
                condition=Q(build__isnull=True) ^ Q(base_image__isnull=True),
                name="drift_is_of_one_thing",
            ),
            models.UniqueConstraint(
                fields=["build"], condition=~Q(state__in=OVER), name="drift_is_open_once"
            ),
            models.UniqueConstraint(
                fields=["base_image"], condition=~Q(state__in=OVER), name="base_drift_is_open_once"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state__in=ACTIVE), name="drift_due"),
        ]

    def __str__(self) -> str:
        return str(self.build or self.base_image)

    @property
    def name(self) -> str:
        """The name of the image, or the base image with its version."""
        return self.build.image.name if self.build else str(self.base_image)

    @property
    def is_healable(self) -> bool:
        """Something of it can be pushed again; the rest only people can put right."""
        return not set(HEALABLE).isdisjoint(self.codes)

    @property
    def lacks_repository(self) -> bool:
        return FindingCode.REPOSITORY_MISSING in self.codes

    @property
    def is_of_content(self) -> bool:
        """Something has other content than its digest says, which only reading it tells."""
        return FindingCode.CONTENT_DIFFERS in self.codes

    @property
    def is_hopeless(self) -> bool:
        """The same digest cannot be made again."""
        return self.state == WorkState.FAILED


class KeptManifest(models.Model):
    """Manifest and configuration of a build or a base image, as pushed: with them its digest can be pushed
    again, whatever settings and version of the platform say by then."""

    build = models.OneToOneField(
        Build, models.CASCADE, null=True, blank=True, related_name="kept_manifest"
    )
    base_image = models.OneToOneField(
        BaseImage, models.CASCADE, null=True, blank=True, related_name="kept_manifest"
    )
    # Of a build: what its image depends on (`images.build_keys.twin_key`), and what was asked of the indexes
    # for it (`question_key`); each empty if it is not to be found by that.
    twin_key = models.CharField(max_length=64, default="", db_default="", blank=True)
    question = models.CharField(max_length=64, default="", db_default="", blank=True)
    packed_manifest = models.BinaryField()
    packed_config = models.BinaryField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(build__isnull=True) ^ Q(base_image__isnull=True),
                name="kept_manifest_is_of_one_thing",
            )
        ]
        indexes = [
            models.Index(
                fields=["twin_key", "id"], condition=~Q(twin_key=""), name="manifest_by_twin"
            ),
            models.Index(
                fields=["question", "id"], condition=~Q(question=""), name="manifest_by_question"
            ),
        ]

    def __str__(self) -> str:
        return f"manifest of {self.build or self.base_image}"

    @property
    def manifest(self) -> bytes:
        return zlib.decompress(self.packed_manifest)

    @property
    def config(self) -> bytes:
        return zlib.decompress(self.packed_config)


def keep_manifest(
    row: Build | BaseImage,
    manifest: bytes,
    config: bytes,
    *,
    twin_key: str = "",
    question: str = "",
) -> None:
    """Keep what was pushed for a row, and the keys by which it is found."""
    packed = {
        "packed_manifest": zlib.compress(manifest),
        "packed_config": zlib.compress(config),
        "twin_key": twin_key,
        "question": question,
    }
    KeptManifest.objects.update_or_create(**column_of(row), defaults=packed)


def column_of(row: Build | BaseImage) -> dict[str, Any]:
    """The column of `Drift` and `KeptManifest` that names a row, to look up and to create by."""
    return {"build" if isinstance(row, Build) else "base_image": row}
