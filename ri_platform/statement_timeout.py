"""The limit on the time of each statement of the web process: one slow query keeps none of its few threads.

Workers, migrations and commands have no limit. `introduce` is called by the web process alone.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


def introduce() -> None:
    """Have every connection that this process opens from now on limit its statements."""
    connection_created.connect(limit_statements, dispatch_uid=__name__)


def limit_statements(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Set the limit on a new connection; 0 seconds are none."""
    with connection.cursor() as cursor:
        milliseconds = settings.STATEMENT_TIMEOUT_SECONDS * 1000
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(milliseconds)])
