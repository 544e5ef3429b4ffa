"""Locks of PostgreSQL. Advisory locks serialize work on one repository without locking its row.

Who holds one may be paused. So a worker waits for a lock for seconds only
(`ri_platform.postgresql.sessions`), and what stands in front of other work does not wait at all
(`exclusive_if_free`, `update_if_free`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from psycopg.errors import LockNotAvailable

log = logging.getLogger(__name__)


@contextmanager
def exclusive(kind: str, pk: int) -> Iterator[None]:
    """Hold PostgreSQL's session-level advisory lock `(kind, pk)`, waiting for it if need be, as long as the
    session may.

    A row lock would make a page that changes the same row wait for AWS; this one never does.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s), %s)", [kind, pk])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s), %s)", [kind, pk])


@contextmanager
def share(kind: str, pk: int) -> Iterator[None]:
    """Hold the same lock together with others who share it; who wants it exclusively must wait for all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(hashtext(%s), %s)", [kind, pk])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock_shared(hashtext(%s), %s)", [kind, pk])


@contextmanager
def exclusive_if_free(kind: str, pk: int) -> Iterator[bool]:
    """Hold the same lock, unless another session does: then the value is False, at once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s), %s)", [kind, pk])
        (held,) = cursor.fetchone()
        try:
            yield held
        finally:
            if held:
                cursor.execute("SELECT pg_advisory_unlock(hashtext(%s), %s)", [kind, pk])


def hold_until_commit(kind: str) -> None:
    """Wait for, and hold until the transaction ends, the advisory lock `kind`: for counting before adding."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [kind])


def update_if_free(rows: QuerySet[Any], **values: Any) -> int:
    """Update these rows but for those that another transaction has locked; returns how many there were."""
    free = rows.order_by().select_for_update(skip_locked=True, no_key=True).values("pk")
    with transaction.atomic(savepoint=False):
        return rows.filter(pk__in=free).update(**values)


def is_too_long(error: BaseException) -> bool:
    """Whether this is the end of a wait for a lock, and no failure of PostgreSQL."""
    return isinstance(error.__cause__, LockNotAvailable)


@contextmanager
def left_for_later(work: str) -> Iterator[None]:
    """Leave work alone whose lock another process holds for long: what is due comes again with the sweep."""
    try:
        yield
    except OperationalError as error:
        if not is_too_long(error):
            raise
        log.warning("%s is left for later: another process holds what it needs.", work)
