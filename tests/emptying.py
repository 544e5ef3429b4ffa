"""The database after a test that commits: what it wrote is deleted.

Django's `flush` empties every table, then makes content types and permissions again, which takes longer
than many a test. Here the tables with rows are found in one statement and emptied alone. Rows that
`migrate` makes, which no test changes, stay.
"""

from __future__ import annotations

from functools import cache

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase

KEPT = {"django_content_type", "auth_permission"}
# The planner takes a table that was never analysed for one of ten pages at least, so below it tells no
# difference between a table whose rows were deleted and a new one (`table_block_relation_estimate_size`).
PAGES, PAGE = 10, 8192


@cache
def tables() -> list[str]:
    """Those of models, as `flush` has them."""
    found = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(name for name in found if name not in KEPT)


def empty_used_tables(test: TransactionTestCase) -> None:
    """Takes the place of `TransactionTestCase._fixture_teardown`.

    Rows go without looking at who refers to them: all that could refer go, too.
    """
    quoted = [connection.ops.quote_name(name) for name in tables()]
    with transaction.atomic(), connection.cursor() as cursor:
        if are_worn(cursor):
            cursor.execute(f"TRUNCATE {', '.join(quoted)}")
            return
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT {place} WHERE EXISTS (SELECT FROM {name})"  # noqa: S608
                for place, name in enumerate(quoted)
            )
        )
        used = [quoted[place] for (place,) in cursor.fetchall()]
        if used:
            statements = "; ".join(f"DELETE FROM {name}" for name in used)  # noqa: S608
            cursor.execute(f"SET LOCAL session_replication_role = replica; {statements}")


def are_worn(cursor: CursorWrapper) -> bool:
    """Whether a table would be planned for otherwise than a new one, were its rows deleted alone."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r'"
        " AND (reltuples >= 0 OR pg_relation_size(oid) > %s))",
        [tables(), PAGES * PAGE],
    )
    return bool(cursor.fetchone()[0])
