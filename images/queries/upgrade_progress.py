"""The progress of bringing images up to date with their base images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Q

from images.models import BaseImage, ManagedImage, Status


@dataclass(frozen=True)
class Progress:
    """How far the images on one base image are; `behind` counts those still to be brought up to date."""

    base: BaseImage
    total: int
    behind: int
    failed: int

    @property
    def done(self) -> int:
        return self.total - self.behind - self.failed


def progress(current: Iterable[BaseImage]) -> list[Progress]:
    """For each of the current base images that some of its images are not on yet."""
    kind = Q(removed_at__isnull=True, current_build__isnull=False)
    counts = (
        ManagedImage.objects.filter(kind)
        .values(
            "current_build__base_image__image_type", "current_build__base_image__python_version"
        )
        .annotate(
            total=Count("pk"),
            behind=Count(
                "pk",
                filter=Q(current_build__base_image__is_current=False)
                & Q(status__in=[Status.OUTDATED, Status.REBUILDING]),
            ),
            failed=Count(
                "pk",
                filter=Q(current_build__base_image__is_current=False) & Q(status=Status.FAILED),
            ),
        )
        .filter(behind__gt=0)
    )
    bases = {(base.image_type, base.python_version): base for base in current}
    return [
        Progress(bases[key], row["total"], row["behind"], row["failed"])
        for row in counts
        if (
            key := (
                row["current_build__base_image__image_type"],
                row["current_build__base_image__python_version"],
            )
        )
        in bases
    ]
