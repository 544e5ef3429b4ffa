"""Lists of images: search, filters and sorting of the Managed Images pane, with a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, OuterRef, Value
from django.db.models.functions import Concat

from images.models import Build, InstalledLibrary, ManagedImage, Status
from images.models.managed_image import ManagedImageQuerySet, is_valid_name
from images.queries.capabilities import require_enabled
from images.queries.keyset import LibraryFilter
from images.queries.searching import Found, find_images
from images.queries.shown_images import with_versions
from ri_platform.errors import NotFound
from ri_platform.pages import COUNTED, Columns, Counted, Page, Prepared, page_in_order
from ri_platform.ready import Among, Given, Ready
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
# What pages show beside an image's own columns.
SHOWN_BESIDE = ("current_build__base_image", "created_by", "created_in")
AGAIN: Ready[ManagedImage] = Ready(
    lambda: ManagedImage.objects.filter(pk=Given("pk")).select_related(*SHOWN_BESIDE)
)
NEWEST: Ready[Build] = Ready(
    lambda: (
        Build.objects.filter(image=Given("image"))
        .select_related("image", "base_image", "requirement_files")
        .defer("lock")[:1]
    )
)


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
    if found.more:
        rows = shown_of(found.images, columns, [library.name for library in wanted.libraries])
    else:
        rows = prepare_list(user, wanted, columns, found.named)
    page = page_in_order(
        rows, columns, PAGE_SIZE,
        descending=wanted.sort.startswith("-"), after=after, before=before,
    )  # fmt: skip
    return replace(page, count=count_of(page.rows, found, wanted))


def prepare_list(
    user: User, wanted: ImageFilter, columns: Columns, named: frozenset[str] | None
) -> Prepared[ManagedImage]:
    """The list as most ask for it: all images that `user` sees, few that are named, or those of a status."""

    def write() -> ManagedImageQuerySet:
        images = ManagedImage.objects.visible_to(user)
        if wanted.status:
            images = images.filter(status=Given("status"))
        if named is not None:
            images = images.filter(Among("name", Given("named")))
        libraries: Given | Sequence[str] = Given("libraries") if wanted.libraries else ()
        return shown_of(images, columns, libraries).annotate(counted=Counted(images))

    # Each user has a query of their own, whatever `visible_to` comes to ask for.
    key = (user.pk, user.is_active, bool(wanted.status), named is None, bool(wanted.libraries))
    return Prepared(
        ManagedImage, key, write,
        status=wanted.status, named=list(named or ()),
        libraries=[library.name for library in wanted.libraries],
    )  # fmt: skip


def shown_of(
    images: ManagedImageQuerySet, columns: Columns, libraries: Sequence[str] | Given
) -> ManagedImageQuerySet:
    """What is read of a list's images; of the filter's libraries, if there are any, what each has."""
    rows = with_versions(images).only(*columns)
    return rows.annotate(installed=installed_of(libraries)) if libraries else rows


def columns_of(sort: str) -> Columns:
    """The columns of an order; the last is the name, as no two images have the same."""
    column = SORTS[sort]
    return ("name",) if column == "name" else (column, "name")


def count_of(rows: Sequence[ManagedImage], found: Found, wanted: ImageFilter) -> int | None:
    """How many images the list has, as far as that is known."""
    if found.more:
        # To count what is found among many would be to look at each of them.
        return found.known if found.known > COUNTED and not wanted.status else None
    return rows[0].counted if rows else 0  # type: ignore[attr-defined]


def installed_of(names: Sequence[str] | Given) -> ArraySubquery:
    """What an image has of the libraries of these names, as `name version`."""
    given = names if isinstance(names, Given) else Value(names, ArrayField(CharField()))
    rows = InstalledLibrary.objects.filter(
        Among("normalized_name", given), build=OuterRef("current_build")
    )
    return ArraySubquery(rows.values_list(Concat("name", Value(" "), "version")))


def image_named(user: User, name: str) -> ManagedImage:
    """The image of this name with what pages show of it, if `user` may see it. Raises `NotFound`."""
    return ManagedImage.objects.select_related(*SHOWN_BESIDE).named(user, name)


def read_again(image: ManagedImage) -> ManagedImage:
    """The image as it is now, with what pages show of it."""
    found = AGAIN.first(pk=image.pk)
    if found is None:
        raise NotFound(f"There is no managed image named {image.name}.")
    return found


def newest_build(image: ManagedImage) -> Build | None:
    """The image's newest build with its base image and files, but without its lock, which is long."""
    return NEWEST.first(image=image.pk)


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
