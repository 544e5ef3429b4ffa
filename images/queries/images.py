"""Reading for lists: search, filters and sorting of the Managed Images pane, at a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet, Value
from django.db.models.functions import Coalesce, Concat

from images.models import BaseImage, InstalledLibrary, ManagedImage, PythonVersion, Status
from images.queries.keyset import LibraryFilter, narrowed
from workspaces.models import User

SORTS = {
    "name": "name",
    "status": "status",
    "base": "python_version",
    "size": "current_size",
    "created": "created_at",
    "updated": "updated_at",
}
DEFAULT_SORT = "name"
# More in one address is nobody's wish.
MAX_LIBRARIES = 10


@dataclass(frozen=True)
class ImageFilter:
    """What the pane's URL says; unknown values fall back to the default instead of failing.

    `unreadable` are texts that name no library: they are told, since a filter that is left out in silence
    would show images that do not fit.
    """

    search: str = ""
    status: str = ""
    sort: str = DEFAULT_SORT
    libraries: tuple[LibraryFilter, ...] = ()
    unreadable: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls, search: str, status: str, sort: str, libraries: Sequence[str] = ()
    ) -> ImageFilter:
        texts = [text.strip()[:300] for text in libraries if text.strip()][:MAX_LIBRARIES]
        parsed = {text: LibraryFilter.parse(text) for text in texts}
        return cls(
            search=search.strip()[:128],
            status=status if status in Status.values else "",
            sort=sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
            libraries=tuple(dict.fromkeys(item for item in parsed.values() if item)),
            unreadable=tuple(text for text, item in parsed.items() if item is None),
        )

    @property
    def narrows(self) -> bool:
        return bool(self.search or self.status or self.libraries)


def list_images(user: User, wanted: ImageFilter) -> QuerySet[ManagedImage]:
    """Images that `user` sees, with `current_size` and `library_count` annotated.

    Search looks at the image's name and at the names of installed libraries.
    """
    images = narrowed(
        ManagedImage.objects.visible_to(user), search=wanted.search, status=wanted.status
    )
    for library in wanted.libraries:
        # As in `images.queries.keyset`: an index tells the names of the images that have it.
        holding = InstalledLibrary.objects.current().filter(**library.conditions)
        images = images.filter(name__in=holding.order_by().values("current_of"))
    if wanted.libraries:
        images = images.annotate(installed=installed_of(wanted.libraries))
    direction = "-" if wanted.sort.startswith("-") else ""
    return (
        images.select_related("current_build", "created_by", "created_in")
        .annotate(
            current_size=Coalesce("current_build__size_bytes", 0),
            library_count=Coalesce("current_build__library_count", 0),
        )
        .order_by(direction + SORTS[wanted.sort.removeprefix("-")], "name")
    )


def installed_of(libraries: Sequence[LibraryFilter]) -> ArraySubquery:
    """What an image has of the libraries of a filter, as `name version`."""
    rows = InstalledLibrary.objects.filter(
        build=OuterRef("current_build"), normalized_name__in=[item.name for item in libraries]
    )
    return ArraySubquery(rows.values_list(Concat("name", Value(" "), "version")))


def newest_python(image_type: str) -> str:
    """The newest Python version that can be built on, empty where there is none."""
    return next(iter(base_images_for_form().get(image_type, [])), "")


def base_images_for_form() -> dict[str, list[str]]:
    """Image type → Python versions that can be built on, ready or on their way, newest first."""
    rows = (
        BaseImage.objects.exclude(state__in=["failed", "cancelled"])
        .values("image_type")
        .annotate(versions=ArrayAgg("python_version", distinct=True))
        .order_by("image_type")
    )
    return {row["image_type"]: PythonVersion.newest_first(row["versions"]) for row in rows}
