"""The progress of bringing images up to date with their base images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Sum

from images.models import BaseImage, ImageCount, Status
from ri_platform.ready import Ready

BEHIND = (Status.OUTDATED, Status.REBUILDING)
BASE = ("base_image__image_type", "base_image__python_version")
# Image type, Python version, whether it is the current base image of these, the images' status, how many.
ROWS: Ready[tuple[str, str, bool, str, int]] = Ready(
    lambda: (
        ImageCount.objects.of_existing_images()
        .filter(base_image__isnull=False)
        .order_by(*BASE)
        .values_list(*BASE, "base_image__is_current", "status")
        .annotate(images=Sum("number"))
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
    """For each of the current base images that some of its images are not on yet."""
    total, behind, failed = (Counter[tuple[str, str]]() for _ in range(3))
    for image_type, python, is_current, status, images in ROWS.rows():
        kind = image_type, python
        total[kind] += images
        if not is_current and status in BEHIND:
            behind[kind] += images
        elif not is_current and status == Status.FAILED:
            failed[kind] += images
    bases = {(base.image_type, base.python_version): base for base in current}
    return [
        Progress(bases[kind], total[kind], number, failed[kind])
        for kind, number in behind.items()
        if number and kind in bases
    ]
