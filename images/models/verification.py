"""Verifications: what the records promise, held against the registry, and what was found."""

from __future__ import annotations

from typing import Any

from django.db import models

from images.models.lease import Lease, LeaseQuerySet, lease_constraints


class FindingCode(models.TextChoices):
    """What a verification can find. The values are stable: scripts and alerts name them."""

    WORK_STUCK = "work_stuck", "Work that nobody goes on with"
    REQUEST_WITHOUT_END = "request_without_end", "A request that will never end"
    STATUS_WRONG = "status_wrong", "A status that contradicts the builds"
    COUNT_WRONG = "count_wrong", "A count of images that is not theirs"
    AUDIT_INCOMPLETE = "audit_incomplete", "An image, a removal or a build without its audit event"
    REPOSITORY_MISSING = "repository_missing", "The repository is gone"
    MANIFEST_MISSING = "manifest_missing", "The manifest is gone"
    TAG_MISSING = "tag_missing", "The build's tag is gone"
    TAG_MOVED = "tag_moved", "The build's tag names another image"
    BLOB_MISSING = "blob_missing", "A blob is gone"
    CONTENT_DIFFERS = "content_differs", "The content does not have its digest"
    BUILD_UNKNOWN = "build_unknown", "A build that no record knows"
    REPOSITORY_UNKNOWN = "repository_unknown", "A repository that no record knows"
    CANNOT_BE_READ = "cannot_be_read", "The registry does not let it be read"
    NAMES_LOST = "names_lost", "A list of images' names was gone"


# What the platform can push again, as opposed to what only people can put right.
HEALABLE = (
    FindingCode.REPOSITORY_MISSING,
    FindingCode.MANIFEST_MISSING,
    FindingCode.TAG_MISSING,
    FindingCode.BLOB_MISSING,
    FindingCode.CONTENT_DIFFERS,
)


class Stage(models.TextChoices):
    """The parts of a verification in their order, each with the workers whose identity may do it."""

    IMAGES = "images", "Images"
    BASE_IMAGES = "base_images", "Base images"
    BUILDS = "builds", "Builds in repositories"
    NAMES = "names", "Repositories"


class VerificationQuerySet(LeaseQuerySet["Verification"]):
    def asked_for(self) -> VerificationQuerySet:
        """Those that an operator began; the others are the platform's own looks."""
        return self.filter(by_platform=False)


class Verification(Lease):
    """One look at all images, done in slices by several workers one after the other.

    `cursor` is the key of the last row of the stage that was looked at, or in the last stage the number of
    the place whose names are looked at; `upto` is the key of the last build when it began. `findings` are
    those of `images.verification.findings.Finding`, as JSON.
    """

    deep = models.BooleanField(default=False)
    by_platform = models.BooleanField(default=False)
    stage = models.CharField(max_length=16, choices=Stage.choices, default=Stage.IMAGES)
    cursor = models.BigIntegerField(default=0)
    # Of the last stage: the last name at the place of this cursor.
    name_cursor = models.CharField(max_length=160, blank=True)
    upto = models.BigIntegerField(default=0)
    # Names of repositories that an operator has from elsewhere.
    more_names: Any = models.JSONField(default=list, blank=True)
    total = models.PositiveIntegerField(default=0)
    seen = models.PositiveIntegerField(default=0)
    requests = models.PositiveBigIntegerField(default=0)
    # Of the time that workers spent on it.
    seconds = models.FloatField(default=0)
    findings: Any = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VerificationQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = lease_constraints("verification")

    def __str__(self) -> str:
        return f"verification {self.pk}"
