"""Counts of images by base image and status: kept, since counting reads all images."""

from __future__ import annotations

from django.db import connection, models, transaction
from django.db.models import Sum

from images.models.base_image import BaseImage

# One statement sees both tables at one moment, so what others change meanwhile makes no difference.
DIFFERENCES = """
SELECT status, removed, sum(number) FROM (
    SELECT base_image_id, status, removed, number FROM images_imagecount
    UNION ALL
    SELECT build.base_image_id, image.status, image.removed_at IS NOT NULL, -1
    FROM images_managedimage image LEFT JOIN images_build build ON build.id = image.current_build_id
) either GROUP BY base_image_id, status, removed HAVING sum(number) <> 0 ORDER BY 1, 2, 3"""
# Triggers write to the second table after the first, so this order waits for them and blocks nobody for ever.
ALONE = """
LOCK TABLE images_managedimage IN SHARE MODE;
LOCK TABLE images_imagecount IN EXCLUSIVE MODE;
DELETE FROM images_imagecount"""
COUNTED = """
INSERT INTO images_imagecount (base_image_id, status, removed, number)
SELECT build.base_image_id, image.status, image.removed_at IS NOT NULL, count(*)
FROM images_managedimage image LEFT JOIN images_build build ON build.id = image.current_build_id
GROUP BY 1, 2, 3"""


class ImageCountQuerySet(models.QuerySet["ImageCount"]):
    def of_existing_images(self) -> ImageCountQuerySet:
        """Of the images that every list shows: those that nobody has removed."""
        return self.filter(removed=False)

    def total(self) -> int:
        """How many images these rows stand for."""
        found: int | None = self.aggregate(total=Sum("number"))["total"]
        return found or 0

    def differences(self) -> list[tuple[str, bool, int]]:
        """Status, removal and difference of each count that is not what counting all images gives."""
        with connection.cursor() as cursor:
            cursor.execute(DIFFERENCES)
            return [(status, removed, int(number)) for status, removed, number in cursor.fetchall()]

    @transaction.atomic
    def count_again(self) -> None:
        """Replace all rows by what counting all images gives; whoever changes an image waits meanwhile."""
        with connection.cursor() as cursor:
            cursor.execute(ALONE)
            cursor.execute(COUNTED)

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
