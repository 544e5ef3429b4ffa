"""Pages of any list by keyset: each costs the same at any depth, and rows that come or go do not shift it.

A page begins beside a row, which its address names by the columns that the list is sorted by.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, Generic, TypeVar, cast
from urllib.parse import quote, unquote

from django.core.exceptions import ValidationError
from django.db.models import (
    CharField,
    Expression,
    F,
    Field,
    Func,
    IntegerField,
    Model,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.constants import LOOKUP_SEP
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.timezone import is_naive

from ri_platform.errors import Invalid
from ri_platform.memory import Memory
from ri_platform.ready import Given, Ready

M = TypeVar("M", bound=Model)
# Columns, also of related rows (`user__username`), that no two rows of the list have alike.
Columns = tuple[str, ...]
# As far as the rows of a list are counted.
COUNTED = 1000


class Row(Func):
    """A row of values: PostgreSQL compares two of them from left to right, as the index has them."""

    function = "ROW"
    output_field = CharField()


class Counted(Subquery):
    """How many rows there are, within another query. A list's are counted as `bounded_count` does."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()

    def __init__(self, rows: QuerySet[Any, Any], most: int | None = COUNTED + 1) -> None:
        super().__init__(rows.order_by().values("pk")[:most])


@dataclass(frozen=True)
class Page(Generic[M]):
    """`previous` and `next` are places to begin the pages beside it; empty where there is none.

    `count` is how many rows the list has, one more than `COUNTED` for more than that, and None if they were
    not counted.
    """

    rows: Sequence[M]
    previous: str = ""
    next: str = ""
    count: int | None = None

    @property
    def is_only(self) -> bool:
        return not (self.previous or self.next)

    @property
    def count_shown(self) -> str:
        """Exact as far as rows are counted, `1,000+` beyond; empty if they were not."""
        if self.count is None:
            return ""
        return f"{self.count:,}" if self.count <= COUNTED else f"{COUNTED:,}+"


def page_asked_for(
    rows: QuerySet[M],
    columns: Columns,
    size: int,
    query: Mapping[str, str],
    *,
    descending: bool = False,
) -> Page[M]:
    """The page of a list that the query of an address names by `after` or `before`, counted."""
    place = places_in(query)
    page = page_in_order(rows, columns, size, descending=descending, **place)
    count = len(page.rows) if page.is_only else bounded_count(rows)
    return Page(page.rows, page.previous, page.next, count)


def places_in(query: Mapping[str, str]) -> dict[str, str]:
    return {side: query.get(side, "") for side in ("after", "before")}


def page_in_order(
    rows: QuerySet[M] | Prepared[M],
    columns: Columns,
    size: int,
    *,
    descending: bool = False,
    after: str = "",
    before: str = "",
) -> Page[M]:
    """The page after or before a place; the first one where there is nothing, or for what names no place."""
    if place := read_place(rows.model, after, columns):
        found = rows_from(rows, columns, place, descending, size + 1)
        if found:
            more = len(found) > size
            return page_of(found[:size], columns, previous=True, next_=more)
    if place := read_place(rows.model, before, columns):
        found = rows_from(rows, columns, place, not descending, size + 1)
        # Fewer than a page before it: then it is the first page that is wanted.
        if len(found) > size:
            return page_of(found[size - 1 :: -1], columns, previous=True, next_=True)
    found = rows_from(rows, columns, None, descending, size + 1)
    return page_of(found[:size], columns, previous=False, next_=len(found) > size)


def page_of(rows: Sequence[M], columns: Columns, *, previous: bool, next_: bool) -> Page[M]:
    return Page(
        rows,
        place_of(rows[0], columns) if previous else "",
        place_of(rows[-1], columns) if next_ else "",
    )


def rows_from(
    rows: QuerySet[M] | Prepared[M],
    columns: Columns,
    place: Sequence[Any] | None,
    descending: bool,
    limit: int,
) -> list[M]:
    if isinstance(rows, Prepared):
        return rows.rows_from(columns, place, descending, limit)
    if place is not None:
        fields = [field_of(rows.model, column) for column in columns]
        rows = rows_beyond(
            rows, columns, descending,
            [Value(value, output_field=field) for value, field in zip(place, fields, strict=True)],
        )  # fmt: skip
    return list(in_order(rows, columns, descending)[:limit])


def rows_beyond(
    rows: QuerySet[M], columns: Columns, descending: bool, values: Sequence[Expression]
) -> QuerySet[M]:
    beyond = LessThan if descending else GreaterThan
    return rows.filter(beyond(Row(*columns), Row(*values)))


def in_order(rows: QuerySet[M], columns: Columns, descending: bool) -> QuerySet[M]:
    return rows.order_by(
        *(F(column).desc() if descending else F(column).asc() for column in columns)
    )


class Prepared(Generic[M]):
    """A list that is asked for so often that its pages are compiled once, each order for itself.

    `make` writes its query with `Given` for the values of `given`; `key` tells one such query from another.
    """

    _ready: ClassVar[Memory[Ready[Any]]] = Memory(2000)

    def __init__(
        self, model: type[M], key: Hashable, make: Callable[[], QuerySet[M]], **given: Any
    ) -> None:
        self.model, self._key, self._make, self._given = model, key, make, given

    def rows_from(
        self, columns: Columns, place: Sequence[Any] | None, descending: bool, limit: int
    ) -> list[M]:
        names = [f"place{number}" for number in range(len(columns))]

        def write() -> QuerySet[M]:
            rows = self._make()
            if place is not None:
                rows = rows_beyond(rows, columns, descending, list(map(Given, names)))
            return in_order(rows, columns, descending)[:limit]

        key = self.model, self._key, columns, place is not None, descending, limit
        ready = self._ready.recall(key, lambda: Ready(write))
        return ready.rows(**self._given, **dict(zip(names, place or (), strict=False)))


def field_of(model: type[Model], column: str) -> Field[Any, Any]:
    *relations, name = column.split(LOOKUP_SEP)
    for relation in relations:
        model = cast("type[Model]", model._meta.get_field(relation).related_model)
    return cast("Field[Any, Any]", model._meta.get_field(name))


def all_in_order(
    rows: QuerySet[M], columns: Columns, size: int, *, descending: bool = False
) -> Iterator[M]:
    """Every row, read `size` at a time, each time as a statement of its own.

    Nothing stays open at the server while somebody reads slowly, or reads no further.
    """
    place: list[Any] | None = None
    while found := rows_from(rows, columns, place, descending, size):
        yield from found
        place = values_of(found[-1], columns)


def place_of(row: Model, columns: Columns) -> str:
    texts = (
        value.isoformat() if hasattr(value, "isoformat") else str(value)
        for value in values_of(row, columns)
    )
    return ",".join(quote(text, safe=":+ ") for text in texts)


def values_of(row: Model, columns: Columns) -> list[Any]:
    return [reduce(getattr, column.split(LOOKUP_SEP), cast(Any, row)) for column in columns]


def read_place(model: type[Model], text: str, columns: Columns) -> list[Any] | None:
    """The values that `place_of` wrote; None for what it did not write."""
    parts = [unquote(part) for part in text.split(",")]
    if not text or len(parts) != len(columns) or any("\0" in part for part in parts):
        return None
    try:
        values = [
            read_value(field_of(model, column), part)
            for column, part in zip(columns, parts, strict=True)
        ]
    except ValidationError:
        return None
    if any(hasattr(value, "tzinfo") and is_naive(value) for value in values):
        return None
    return values


def read_value(field: Field[Any, Any], text: str) -> Any:
    """Raises `ValidationError` for what the column cannot hold. Any text can be compared with names."""
    if isinstance(field, CharField) and not field.choices:
        return text
    return field.clean(text, None)


def bounded_count(rows: QuerySet[M]) -> int:
    """How many they are; one more than `COUNTED` stands for more than that."""
    return rows.order_by().values("pk")[: COUNTED + 1].count()


def unknown_token() -> Invalid:
    """What to tell of a place that a list of the API did not give out."""
    return Invalid(
        "The page token is not one that this instance gave out.",
        hint="Begin with the first page, by an empty token.",
        field="pageToken",
    )
