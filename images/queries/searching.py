"""The search of lists of images: a part of a name, or the beginning of the name of an installed library.

Which images fit is looked for by index first, up to a bound. Few are named to the list, which reads no other.
If there are more, the list comes upon them soon, so it looks at each image in its own order. So no search
reads all libraries of a common name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, OuterRef, Q, QuerySet, Subquery, Value
from packaging.utils import canonicalize_name

from images.models import InstalledLibrary, ManagedImage
from images.models.managed_image import ManagedImageQuerySet
from ri_platform.ready import Among

# One in fifty among 100,000 images: a list that looks at each has its page after some thousand.
FEW = 2000


@dataclass(frozen=True)
class Found:
    """The images that fit, and how many are known to: all of them, unless there are `more`.

    None: that is soon counted.
    """

    images: ManagedImageQuerySet
    known: int | None
    more: bool = False


def find_images(
    images: ManagedImageQuerySet, text: str, libraries: Iterable[Mapping[str, str]]
) -> Found:
    """Those of `images` with `text` in their names, or with a library whose name begins so.

    They have each of `libraries`, too, which are conditions on rows of `InstalledLibrary`.
    """
    few: list[frozenset[str]] = []
    many: list[frozenset[str]] = []
    if text:
        names, fits = named_or_with_library(text)
        (few if fits is None else many).append(names)
        if fits is not None:
            images = images.alias(with_library=with_library_beginning(text)).filter(fits)
    for number, conditions in enumerate(libraries):
        rows = InstalledLibrary.objects.current().filter(**conditions).order_by()
        holders = frozenset(some(rows, "current_of"))
        (few if len(holders) <= FEW else many).append(holders)
        if len(holders) > FEW:
            one = rows.filter(current_of=OuterRef("name")).values("build")[:1]
            images = images.alias(**{f"library_{number}": Subquery(one)})
            images = images.filter(**{f"library_{number}__isnull": False})
    if few:
        named = frozenset.intersection(*few)
        # As one value: a list of a thousand takes longer to write than to look up.
        fitting = Value(list(named), output_field=ArrayField(CharField()))
        return Found(images.filter(Among("name", fitting)), None if many else len(named))
    return Found(images, len(many[0]) if len(many) == 1 else 0, more=bool(many))


def named_or_with_library(text: str) -> tuple[frozenset[str], Q | None]:
    """Names of images that fit a search: all of them, or some and the condition on an image that fits."""
    # Names are lower-case, as a constraint holds.
    part = text.lower()
    by_name = some(ManagedImage.objects.existing().filter(name__contains=part), "name")
    by_library = some(libraries_beginning(part), "current_of")
    names = frozenset(by_name + by_library)
    if len(by_library) > FEW:
        return names, Q(name__contains=part) | Q(with_library__isnull=False)
    if len(by_name) > FEW:
        return names, Q(name__contains=part) | Q(name__in=by_library)
    return names, None


def with_library_beginning(text: str) -> Subquery:
    """A library of the image that begins so, or null.

    PostgreSQL asks a scalar subquery image by image, where it might make one hash table of EXISTS.
    """
    rows = libraries_beginning(text.lower()).filter(build=OuterRef("current_build"))
    return Subquery(rows.values("build")[:1])


def libraries_beginning(text: str) -> QuerySet[InstalledLibrary]:
    """Rows of what images have now, of libraries whose names begin with `text`."""
    beginning = canonicalize_name(text)
    if not beginning[:1].isalnum():
        # No name begins so, and some locales would look for it among all names.
        return InstalledLibrary.objects.none()
    return (
        InstalledLibrary.objects.current()
        .filter(normalized_name__gte=beginning, normalized_name__lte=end_of(beginning))
        .filter(normalized_name__startswith=beginning)
        .order_by()
    )


def end_of(beginning: str) -> str:
    """Above every name with this beginning, in any locale: names are letters, digits and hyphens."""
    return beginning + "z" * 40


def some(rows: QuerySet[ManagedImage] | QuerySet[InstalledLibrary], column: str) -> list[str]:
    """Names, without an order; one more than `FEW` if there are more."""
    return list(rows.order_by().values_list(column, flat=True)[: FEW + 1])
