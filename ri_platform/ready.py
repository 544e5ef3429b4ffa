"""Queries of every request, compiled once: to compile one takes Django longer than PostgreSQL to answer it.

A query is written as any other, with `Given` in place of the values that differ. Its SQL is made at its first
use; from then on values are filled in, and rows are read as Django reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from django.db import connection
from django.db.models import Expression, F, Lookup, QuerySet

R = TypeVar("R")


class Given(Expression):
    """Stands for a value that each use of a query brings, under this name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


class Among(Lookup[Any]):
    """The condition that a column has one of the values of a list that is given: as `IN`, of any length."""

    def __init__(self, column: str, values: Expression) -> None:
        super().__init__(F(column), values)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        column, before = self.process_lhs(compiler, connection)
        values, after = self.process_rhs(compiler, connection)
        return f"{column} = ANY({values})", (*before, *after)


class Ready(Generic[R]):
    """A query that `make` writes, for rows of the type that its queryset has."""

    def __init__(self, make: Callable[[], QuerySet[Any, R]]) -> None:
        self._make = make

    @cached_property
    def _compiled(self) -> tuple[QuerySet[Any, R], Any, str, tuple[Any, ...]]:
        rows = self._make()
        compiler = rows.query.get_compiler(connection=connection)
        text, values = compiler.as_sql()
        fields = [item[0] for item in compiler.select[: compiler.col_count]]
        converters = compiler.get_converters(fields)
        compiler.get_converters = lambda fields: converters
        return rows, compiler, text, tuple(values)

    def rows(self, **given: Any) -> list[R]:
        """The rows for these values."""
        written, compiled, text, values = self._compiled
        filled = [given[each.name] if isinstance(each, Given) else each for each in values]
        # A compiler holds the connection of its thread and what it has met while it ran.
        compiler = copy(compiled)
        compiler.connection = connection
        compiler.as_sql = lambda *args, **kwargs: (text, filled)
        found: Any = QuerySet(written.model, cast(Any, _Compiled(compiler)))
        found._fields = cast(Any, written)._fields
        return list(cast(Any, written)._iterable_class(found))

    def first(self, **given: Any) -> R | None:
        """The first row for these values, None if there is none."""
        return next(iter(self.rows(**given)), None)


class _Compiled:
    """In place of a queryset's query, for what reads its rows."""

    def __init__(self, compiler: Any) -> None:
        self._compiler = compiler

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiler
