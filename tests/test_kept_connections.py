"""Connections that processes keep between requests, when the server has ended them."""

from __future__ import annotations

import psycopg
import pytest
from django.db import close_old_connections, connection
from django.test.utils import CaptureQueriesContext

from images.models import ManagedImage


@pytest.fixture
def kept(transactional_db: None) -> int:
    """The server's process of the connection that this thread keeps."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
    assert isinstance(process, int)
    return process


def end_at_the_server(process: int) -> None:
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        # Waits until it has ended.
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [process]).fetchone() == (
            True,
        )


def test_connection_that_the_server_ended_is_opened_anew_at_the_next_request(kept: int) -> None:
    end_at_the_server(kept)

    close_old_connections()

    assert ManagedImage.objects.count() == 0


def test_connection_that_rests_is_kept_and_asked_nothing(kept: int) -> None:
    with CaptureQueriesContext(connection) as asked:
        close_old_connections()
        assert connection.is_usable()
        ManagedImage.objects.count()

    assert [query["sql"].split()[0] for query in asked] == ["SELECT"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() == (kept,)


def test_connection_that_is_in_the_middle_of_something_is_not_usable(kept: int) -> None:
    connection.set_autocommit(False)
    try:
        ManagedImage.objects.count()
        assert not connection.is_usable()
    finally:
        connection.rollback()
        connection.set_autocommit(True)
    assert connection.is_usable()
