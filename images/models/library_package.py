"""Native libraries by the packages of distributions that bring them, as the distributions' own data says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils import timezone

from images.errors import WorkerDied
from images.models.lease import Lease, LeaseQuerySet, WorkState, lease_constraints

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager

    from images.models.base_image import BaseImage

# A released distribution gets few new libraries; what failed is tried again within the hour, unless it ended
# its workers.
GOOD_FOR = timedelta(days=7)
AGAIN_AFTER = timedelta(hours=1)


class LibraryIndexQuerySet(LeaseQuerySet["LibraryIndex"]):
    def of(self, base: BaseImage) -> LibraryIndexQuerySet:
        """The index of a base image's distribution."""
        return self.filter(distribution=base.os_id, version=base.os_version)

    def outdated(self) -> LibraryIndexQuerySet:
        """Those that are to be read again."""
        now = timezone.now()
        return self.filter(
            Q(state=WorkState.SUCCEEDED, finished_at__lt=now - GOOD_FOR)
            | Q(state=WorkState.FAILED, finished_at__lt=now - GOOD_FOR)
            | Q(state=WorkState.FAILED, finished_at__lt=now - AGAIN_AFTER)
            & ~Q(error_code=WorkerDied.code)
        )


class LibraryIndex(Lease):
    """The index of one version of a distribution; work, since a worker reads it from the distribution.

    `distribution` and `version` are `BaseImage.os_id` and `os_version`. There is one architecture here
    (`images.building.bases.content.ARCHITECTURE`).
    """

    distribution = models.CharField(max_length=40)
    version = models.CharField(max_length=40)

    packages: RelatedManager[LibraryPackage]

    objects = LibraryIndexQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "library indexes"
        constraints = [
            *lease_constraints("library_index"),
            models.UniqueConstraint(
                fields=["distribution", "version"], name="library_index_is_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"libraries of {self.distribution} {self.version}"


class LibraryPackage(models.Model):
    """A package that has a native library of this name where the loader looks for it."""

    index = models.ForeignKey(LibraryIndex, models.CASCADE, related_name="packages", db_index=False)
    soname = models.CharField(max_length=255)
    package = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["index", "soname", "package"], name="library_package_is_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.soname} in {self.package}"
