"""The progress of bringing images up to date with their base images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Count, QuerySet

from images.models import BaseImage, ManagedImage, Status
from images.models.lease import WorkState
from ri_platform.ready import Ready

KEPT_SECONDS = 10
BASE = ("current_build__base_image__image_type", "current_build__base_image__python_version")
# Image type, Python version, all images, those behind, those that failed.
Counts = tuple[str, str, int, int, int]


# The newest base image that another has replaced.
SUPERSEDED: Ready[int] = Ready(
    lambda: (
        BaseImage.objects.filter(is_current=False, state=WorkState.SUCCEEDED)
        .order_by("-pk")
        .values_list("pk", flat=True)[:1]
    )
)


@dataclass(frozen=True)
class Progress:
    """How far the images on one base image are; `behind` counts those still to be brought up to date."""

    base: BaseImage
    total: int
    behind: int
    failed: int

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.total, self.behind, self.failed

    @property
    def done(self) -> int:
        return self.total - self.behind - self.failed


def progress(current: Iterable[BaseImage]) -> list[Progress]:
    """For each of the current base images that some of its images are not on yet, counted now."""
    return of_bases(current, count())


def progress_lately(current: Iterable[BaseImage]) -> list[Progress]:
    """As `progress`, counted within the last `KEPT_SECONDS`: in an upgrade the count reads every image."""
    newest = SUPERSEDED.first()
    if newest is None:
        return []
    counts = cache.get_or_set(f"upgrade-progress:{newest}", count, KEPT_SECONDS)
    return of_bases(current, counts or [])


def count() -> list[Counts]:
    """One row for each kind of base image with an image that is behind.

    Those that are behind are found by an index of the status. While none is, nothing else is read.
    """
    usable = ManagedImage.objects.usable()
    superseded = usable.filter(current_build__base_image__is_current=False)
    behind = numbers(superseded.filter(status__in=[Status.OUTDATED, Status.REBUILDING]))
    if not behind:
        return []
    failed = numbers(superseded.filter(status=Status.FAILED))
    total = numbers(usable)
    return [
        # Images may come and go between these statements.
        (*kind, max(total.get(kind, 0), number + failed.get(kind, 0)), number, failed.get(kind, 0))
        for kind, number in behind.items()
    ]


def numbers(images: QuerySet[ManagedImage]) -> dict[tuple[str, str], int]:
    """How many of these images there are by kind of their base image."""
    rows = images.order_by().values(*BASE).annotate(number=Count("pk"))
    return {
        (image_type, python): number
        for image_type, python, number in rows.values_list(*BASE, "number")
    }


def of_bases(current: Iterable[BaseImage], counts: Iterable[Counts]) -> list[Progress]:
    bases = {(base.image_type, base.python_version): base for base in current}
    return [
        Progress(bases[image_type, python], total, behind, failed)
        for image_type, python, total, behind, failed in counts
        if (image_type, python) in bases
    ]
