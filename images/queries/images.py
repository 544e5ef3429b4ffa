"""Lists of images: search, filters and sorting of the Managed Images pane, with a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Value
from django.db.models.functions import Concat

from images.models import InstalledLibrary, ManagedImage, Status
from images.models.managed_image import ManagedImageQuerySet, is_valid_name
from images.queries.capabilities import require_enabled
from images.queries.keyset import LibraryFilter
from images.queries.searching import Found, find_images
from images.queries.shown_images import with_versions
from ri_platform.pages import COUNTED, Columns, Page, Prepared, bounded_count, page_in_order
from ri_platform.ready import Given
from workspaces.access import Actor
from workspaces.guard import Place
from workspaces.models import User

SORTS = {
    "name": "name",
    "status": "status",
    "base": "python_version",
    "size": "size_bytes",
    "created": "created_at",
    "updated": "updated_at",
}
DEFAULT_SORT = "name"
# More in one address is nobody's wish.
MAX_LIBRARIES = 10
PAGE_SIZE = 50


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


def list_images(
    user: User, wanted: ImageFilter, after: str = "", before: str = ""
) -> Page[ManagedImage]:
    """A page of the images that `user` sees, with their versions, by which `shown_images` knows the rest.

    Search looks at the image's name and at the names of installed libraries.
    """
    images = ManagedImage.objects.visible_to(user)
    if wanted.status:
        images = images.filter(status=wanted.status)
    conditions = [library.conditions for library in wanted.libraries]
    found = find_images(images, wanted.search, conditions)
    columns = columns_of(wanted.sort.removeprefix("-"))
    rows: ManagedImageQuerySet | Prepared[ManagedImage]
    if wanted.search or wanted.libraries:
        rows = with_versions(found.images).only(*columns)
        if wanted.libraries:
            rows = rows.annotate(installed=installed_of(wanted.libraries))
    else:
        rows = without_search(user, wanted.status, columns)
    page = page_in_order(
        rows, columns, PAGE_SIZE,
        descending=wanted.sort.startswith("-"), after=after, before=before,
    )  # fmt: skip
    return replace(page, count=count_of(found, wanted))


def without_search(user: User, status: str, columns: Columns) -> Prepared[ManagedImage]:
    """The list as most ask for it: all images that `user` sees, or those of a status."""

    def write() -> ManagedImageQuerySet:
        images = with_versions(ManagedImage.objects.visible_to(user)).only(*columns)
        return images.filter(status=Given("status")) if status else images

    # Each user has a query of their own, whatever `visible_to` comes to ask for.
    key = user.pk, user.is_active, bool(status)
    return Prepared(ManagedImage, key, write, status=status)


def columns_of(sort: str) -> Columns:
    """The columns of an order; the last is the name, as no two images have the same."""
    column = SORTS[sort]
    return ("name",) if column == "name" else (column, "name")


def count_of(found: Found, wanted: ImageFilter) -> int | None:
    """How many images the list has, as far as that is known or counted soon."""
    if found.more:
        # To count what is found among many would be to look at each of them.
        return found.known if (found.known or 0) > COUNTED and not wanted.status else None
    if found.known is None or wanted.status or not wanted.narrows:
        return bounded_count(found.images)
    return found.known


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


def image_of(actor: Actor, name: str) -> ManagedImage:
    """The image that a URL names, for an action that is its owners'. Raises `NotFound`."""
    require_enabled()
    return image_named(actor.user, name)


IMAGE = Place("name", "image", str, image_of, owned=True)


def copy_name(image: ManagedImage) -> str:
    """A name for a copy of an image that nobody has taken yet; empty if none comes to mind."""
    wanted = [f"{image.name}-copy", *(f"{image.name}-copy-{number}" for number in range(2, 20))]
    taken = set(ManagedImage.objects.filter(name__in=wanted).values_list("name", flat=True))
    return next((name for name in wanted if name not in taken and is_valid_name(name)), "")
