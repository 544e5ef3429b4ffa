"""Advisory locks of PostgreSQL. They serialize work on one repository without locking its row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def exclusive(kind: str, pk: int) -> Iterator[None]:
    """Hold PostgreSQL's session-level advisory lock `(kind, pk)`, waiting for it if need be.

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
