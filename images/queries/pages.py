"""Pages of images in any order of the pane, by keyset: each costs the same at any depth, from an index.

A page begins beside a row, which its address names by what the list is sorted by and its name, so rows that
come or go do not shift it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db.models import CharField, F, Field, Func, QuerySet, Value
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.timezone import is_naive

from images.models import ManagedImage

# The columns, the last of which is the name: no two rows are equal.
Columns = tuple[str, ...]
# As far as the images of a list are counted.
COUNTED = 1000


class Row(Func):
    """A row of values: PostgreSQL compares two of them from left to right, as the index has them."""

    function = "ROW"
    output_field = CharField()


@dataclass(frozen=True)
class Page:
    """`previous` and `next` are places to begin the pages beside it; empty where there is none."""

    images: Sequence[ManagedImage]
    previous: str = ""
    next: str = ""

    @property
    def is_only(self) -> bool:
        return not (self.previous or self.next)


def page_in_order(
    images: QuerySet[ManagedImage], sort: str, size: int, *, after: str = "", before: str = ""
) -> Page:
    """The page after or before a place; the first one where there is nothing, or for what names no place.

    `sort` is a column, `-` before it if descending.
    """
    columns, descending = columns_of(sort.removeprefix("-")), sort.startswith("-")
    if place := read_place(after, columns):
        rows = rows_from(images, columns, place, descending, size + 1)
        if rows:
            more = len(rows) > size
            return page_of(rows[:size], columns, previous=True, next_=more)
    if place := read_place(before, columns):
        rows = rows_from(images, columns, place, not descending, size + 1)
        # Fewer than a page before it: then it is the first page that is wanted.
        if len(rows) > size:
            return page_of(rows[size - 1 :: -1], columns, previous=True, next_=True)
    rows = rows_from(images, columns, None, descending, size + 1)
    return page_of(rows[:size], columns, previous=False, next_=len(rows) > size)


def columns_of(column: str) -> Columns:
    return ("name",) if column == "name" else (column, "name")


def page_of(rows: Sequence[ManagedImage], columns: Columns, *, previous: bool, next_: bool) -> Page:
    return Page(
        rows,
        place_of(rows[0], columns) if previous else "",
        place_of(rows[-1], columns) if next_ else "",
    )


def rows_from(
    images: QuerySet[ManagedImage],
    columns: Columns,
    place: Sequence[Any] | None,
    descending: bool,
    limit: int,
) -> list[ManagedImage]:
    if place is not None:
        fields = [field_of(column) for column in columns]
        values = [
            Value(value, output_field=field) for value, field in zip(place, fields, strict=True)
        ]
        beyond = LessThan if descending else GreaterThan
        images = images.filter(beyond(Row(*columns), Row(*values)))
    order = [F(column).desc() if descending else F(column).asc() for column in columns]
    return list(images.order_by(*order)[:limit])


def field_of(column: str) -> Field[Any, Any]:
    return cast("Field[Any, Any]", ManagedImage._meta.get_field(column))


def place_of(image: ManagedImage, columns: Columns) -> str:
    values = [getattr(image, column) for column in columns]
    return ",".join(
        value.isoformat() if hasattr(value, "isoformat") else str(value) for value in values
    )


def read_place(text: str, columns: Columns) -> list[Any] | None:
    """The values that `place_of` wrote; None for what it did not write."""
    parts = text.split(",")
    if len(parts) != len(columns):
        return None
    try:
        values = [
            field_of(column).clean(part, None) for column, part in zip(columns, parts, strict=True)
        ]
    except ValidationError:
        return None
    if any(hasattr(value, "tzinfo") and is_naive(value) for value in values):
        return None
    return values


def bounded_count(images: QuerySet[ManagedImage]) -> int:
    """How many they are; one more than `COUNTED` stands for more than that."""
    return images.order_by().values("pk")[: COUNTED + 1].count()
