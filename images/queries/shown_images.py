"""The rows of lists of images, read once for each of their versions.

Many people look at the same few images, again and again. So a list asks for the versions of the rows that it
tells of, and reads only those that this process does not know yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import OuterRef, Subquery

from images.models import Drift, ImportCheck, ManagedImage
from images.models.managed_image import ManagedImageQuerySet
from images.queries.import_checks import current_checks
from ri_platform.memory import Memory
from ri_platform.row_versions import RowVersions

# What a row of the pane tells. A build's lock alone is fifty kilobytes.
SHOWN = (
    "name", "description", "image_type", "python_version", "status", "size_bytes", "created_at", "updated_at",
    "current_build__manifest_digest", "current_build__library_count",
    "created_by__username", "created_by__is_active", "created_in__name",
)  # fmt: skip
# The image's key, the versions of all rows that are told of, and what it has of the filter's libraries.
Key = tuple[int, str, str | None, str | None, tuple[str, ...]]


@dataclass(frozen=True)
class ShownImage:
    """An image with the check and the open drift of its current build. Nobody changes it: it is shared."""

    key: Key
    image: ManagedImage
    check: ImportCheck | None
    drift: Drift | None

    @property
    def installed(self) -> tuple[str, ...]:
        """What it has of the libraries of the filter."""
        return self.key[-1]


MEMORY: Memory[ShownImage] = Memory(5000)


def with_versions(images: ManagedImageQuerySet) -> ManagedImageQuerySet:
    """The images with the versions of the rows that lists tell of."""
    return images.annotate(
        version=RowVersions(
            "name", "current_build__number", "created_by__username", "created_in__name"
        ),
        check_version=check_version(),
        drift_version=drift_version(),
    )


def check_version() -> Subquery:
    """Of the import check of an image's current build."""
    checks = ImportCheck.objects.filter(manifest_digest=OuterRef("current_build__manifest_digest"))
    return Subquery(checks.values(version=RowVersions("manifest_digest")))


def drift_version() -> Subquery:
    """Of the open drift of an image's current build."""
    drifts = Drift.objects.open().filter(build=OuterRef("current_build")).order_by()
    return Subquery(drifts.values(version=RowVersions("id"))[:1])


def key_of(row: ManagedImage) -> Key:
    """Of a row of `with_versions`."""
    versions = row.version, row.check_version, row.drift_version  # type: ignore[attr-defined]
    return (row.pk, *versions, tuple(getattr(row, "installed", ())))


def shown_images(rows: Iterable[ManagedImage]) -> list[ShownImage]:
    """What lists tell of these rows of `with_versions`, in their order."""
    keys = [key_of(row) for row in rows]
    return list(MEMORY.recall_all(keys, read).values())


def read(keys: Sequence[Key]) -> dict[Key, ShownImage]:
    """Read after the versions, so it is never older than they say; an image that is gone is left out."""
    rows = ManagedImage.objects.select_related("current_build", "created_by", "created_in")
    images = rows.only(*SHOWN).in_bulk([key[0] for key in keys])
    checks = current_checks(images.values())
    builds = [image.current_build_id for image in images.values()]
    drifts = {
        drift.build_id: drift
        for drift in Drift.objects.open()
        .filter(build__in=builds)
        .select_related("build__image")
        .defer("build__lock")
    }
    found = {}
    for key in keys:
        if (image := images.get(key[0])) is not None:
            check, drift = checks.get(image.pk), drifts.get(image.current_build_id)
            found[key] = ShownImage(key, image, check, drift)
    return found
