"""The limit on the time of each statement of the web process: one slow query keeps none of its few threads.

Workers, migrations and commands have no limit. `introduce` is called by the web process alone.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from psycopg.errors import QueryCanceled

from ri_platform.errors import QueryTimeout

logger = logging.getLogger(__name__)


def introduce() -> None:
    """Have every connection that this process opens from now on limit its statements."""
    connection_created.connect(limit_statements, dispatch_uid=__name__)


def limit_statements(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Set the limit on a new connection; 0 seconds are none."""
    with connection.cursor() as cursor:
        milliseconds = settings.STATEMENT_TIMEOUT_SECONDS * 1000
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(milliseconds)])


def timeout_of(asked: str, error: BaseException | None) -> QueryTimeout | None:
    """What to tell of a statement that PostgreSQL cancelled, for the request `asked`; None for any other
    error.

    A library may have made another error of it, as Django's sessions do when one cannot be saved.
    """
    while error is not None and not isinstance(error, QueryCanceled):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    logger.warning("A statement of %s took too long.", asked)
    return QueryTimeout(
        "The database took too long, so the request was given up.",
        hint="Ask for less, as by a longer search, or try again later. "
        "If it happens again, tell an Organization Administrator.",
    )
