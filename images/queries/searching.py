"""The search of lists of images: a part of a name, or the beginning of the name of an installed library.

Which images fit is looked for by index first, up to a bound. Few are named to the list, which reads no other.
If there are more, the list comes upon them soon, so it looks at each image in its own order. So no search
reads all libraries of a common name.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, OuterRef, Q, QuerySet, Subquery, Value
from packaging.utils import canonicalize_name

from images.models import InstalledLibrary, ManagedImage
from images.models.managed_image import ManagedImageQuerySet
from ri_platform.memory import Memory
from ri_platform.ready import Among, Given, Ready

# One in fifty among 100,000 images: a list that looks at each has its page after some thousand.
FEW = 2000
SOME: Memory[Ready[str]] = Memory(100)


@dataclass(frozen=True)
class Found:
    """The images that fit.

    `named` has the name of each that can fit, None if any can. What else they have to be is a condition of
    `among`, the images that were looked at. If there are `more` than are soon counted, at least `known` fit.
    """

    among: ManagedImageQuerySet
    named: frozenset[str] | None
    more: bool
    known: int = 0

    @property
    def images(self) -> ManagedImageQuerySet:
        if self.named is None:
            return self.among
        # As one value: a list of a thousand takes longer to write than to look up.
        fitting = Value(list(self.named), output_field=ArrayField(CharField()))
        return self.among.filter(Among("name", fitting))


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
        holders = holders_of(conditions)
        (few if len(holders) <= FEW else many).append(holders)
        if len(holders) > FEW:
            rows = InstalledLibrary.objects.current().filter(**conditions).order_by()
            one = rows.filter(current_of=OuterRef("name")).values("build")[:1]
            images = images.alias(**{f"library_{number}": Subquery(one)})
            images = images.filter(**{f"library_{number}__isnull": False})
    if few:
        return Found(images, frozenset.intersection(*few), more=bool(many))
    return Found(images, None, more=bool(many), known=len(many[0]) if len(many) == 1 else 0)


def named_or_with_library(text: str) -> tuple[frozenset[str], Q | None]:
    """Names of images that fit a search: all of them, or some and the condition on an image that fits."""
    # Names are lower-case, as a constraint holds.
    part = text.lower()
    by_name = names_containing(part)
    by_library = holders_beginning(part)
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


def names_containing(part: str) -> list[str]:
    """Of images that exist."""
    return some(
        "name",
        lambda: ManagedImage.objects.existing().filter(name__contains=Given("part")),
        part=part,
    )


def holders_beginning(text: str) -> list[str]:
    """Names of images that have a library now whose name begins with `text`."""
    beginning = canonicalize_name(text)
    if not can_begin(beginning):
        return []
    return some(
        "beginning",
        lambda: between(Given("beginning"), Given("end")),
        beginning=beginning,
        end=end_of(beginning),
    )


def holders_of(conditions: Mapping[str, str]) -> frozenset[str]:
    """Names of images that have a library now of which the conditions hold."""
    asked = tuple(sorted(conditions))
    current = InstalledLibrary.objects.current()
    return frozenset(
        some(asked, lambda: current.filter(**{name: Given(name) for name in asked}), **conditions)
    )


def libraries_beginning(text: str) -> QuerySet[InstalledLibrary]:
    """Rows of what images have now, of libraries whose names begin with `text`."""
    beginning = canonicalize_name(text)
    if not can_begin(beginning):
        return InstalledLibrary.objects.none()
    return between(beginning, end_of(beginning))


def between(beginning: Any, end: Any) -> QuerySet[InstalledLibrary]:
    """Rows of libraries whose names have a beginning; `end` is `end_of` it."""
    return (
        InstalledLibrary.objects.current()
        .filter(normalized_name__gte=beginning, normalized_name__lte=end)
        .filter(normalized_name__startswith=beginning)
        .order_by()
    )


def can_begin(beginning: str) -> bool:
    """No name begins with anything else, and some locales would look for it among all names."""
    return beginning[:1].isalnum()


def end_of(beginning: str) -> str:
    """Above every name with this beginning, in any locale: names are letters, digits and hyphens."""
    return beginning + "z" * 40


def some(
    key: Hashable,
    write: Callable[[], QuerySet[ManagedImage, Any] | QuerySet[InstalledLibrary, Any]],
    **given: str,
) -> list[str]:
    """Names of images, without an order; one more than `FEW` if there are more.

    `write` is compiled once for a key, and writes rows with a column of such names.
    """

    def write_some() -> QuerySet[Any, str]:
        rows = write()
        column = "name" if rows.model is ManagedImage else "current_of"
        return rows.order_by().values_list(column, flat=True)[: FEW + 1]

    return SOME.recall((key, FEW), lambda: Ready(write_some)).rows(**given)
