"""Reading for lists: search, filters and sorting of the Managed Images pane, at a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet, Value
from django.db.models.functions import Coalesce, Concat

from images.models import InstalledLibrary, ManagedImage, Status
from images.models.managed_image import is_valid_name
from images.queries.capabilities import require_enabled
from images.queries.keyset import LibraryFilter, filter_images
from workspaces.access import Actor
from workspaces.guard import locates
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
    images = filter_images(
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


def image_named(user: User, name: str) -> ManagedImage:
    """The image of this name with what pages show of it, if `user` may see it. Raises `NotFound`."""
    related = ("current_build__base_image", "created_by", "created_in")
    return ManagedImage.objects.select_related(*related).named(user, name)


@locates("name", "image", str, owned=True)
def image_of(actor: Actor, name: str) -> ManagedImage:
    """The image that a URL names, for an action that is its owners'. Raises `NotFound`."""
    require_enabled()
    return image_named(actor.user, name)


def copy_name(image: ManagedImage) -> str:
    """A name for a copy of an image that nobody has taken yet; empty if none comes to mind."""
    wanted = [f"{image.name}-copy", *(f"{image.name}-copy-{number}" for number in range(2, 20))]
    taken = set(ManagedImage.objects.filter(name__in=wanted).values_list("name", flat=True))
    return next((name for name in wanted if name not in taken and is_valid_name(name)), "")
