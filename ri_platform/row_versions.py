"""Versions of rows: what is made of rows alone is made once for each version.

PostgreSQL writes a changed row anew: another transaction wrote it, or it lies at another place.
"""

from __future__ import annotations

from typing import Any

from django.db.models import CharField, Func


class RowVersions(Func):
    """The versions of the rows that these columns are of, as one text. It is another after any change."""

    output_field = CharField()

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **extra: Any) -> Any:
        aliases = (column.alias for column in self.get_source_expressions())
        quoted = [compiler.quote_name_unless_alias(alias) for alias in dict.fromkeys(aliases)]
        columns = ", ".join(f"{alias}.xmin, {alias}.ctid" for alias in quoted)
        return f"ROW({columns})::text", ()
