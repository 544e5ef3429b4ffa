"""Counts of images by base image and status: kept, since counting reads all images."""

from __future__ import annotations

from django.db import models, transaction
from django.db.models import Sum

from images.models.base_image import BaseImage


class ImageCountQuerySet(models.QuerySet["ImageCount"]):
    def of_existing_images(self) -> ImageCountQuerySet:
        """Of the images that every list shows: those that nobody has removed."""
        return self.filter(removed=False)

    def total(self) -> int:
        """How many images these rows stand for."""
        found: int | None = self.aggregate(total=Sum("number"))["total"]
        return found or 0

    @transaction.atomic
    def sum_up(self, above: int = 200) -> None:
        """Replace the rows, once there are more than some, by one for each base image and status.

        Rows that another transaction adds meanwhile stay for the next time, and so do those that another
        sums up.
        """
        if self.count() <= above:
            return
        rows = list(self.select_for_update(skip_locked=True))
        sums: dict[tuple[int | None, str, bool], int] = {}
        for row in rows:
            kind = (row.base_image_id, row.status, row.removed)
            sums[kind] = sums.get(kind, 0) + row.number
        self.filter(pk__in=[row.pk for row in rows]).delete()
        self.bulk_create(
            ImageCount(base_image_id=base, status=status, removed=removed, number=number)
            for (base, status, removed), number in sums.items()
            if number
        )


class ImageCount(models.Model):
    """So many images more, or less, on this base image with this status.

    Triggers of the images' table add rows (0046), one statement's changes at a time, in its transaction; a
    count is the sum of rows. Since rows are only added, no statement waits for another's.
    """

    # Of the current build; None is an image that has none yet. The row outlives the base image until the next
    # sum, so it does not keep it.
    base_image = models.ForeignKey(
        BaseImage, models.DO_NOTHING, null=True, related_name="+", db_constraint=False
    )
    status = models.CharField(max_length=30)
    removed = models.BooleanField()
    number = models.IntegerField()

    objects = ImageCountQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.number:+} {self.status}"
