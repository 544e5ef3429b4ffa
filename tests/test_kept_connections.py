"""Connections of processes: kept ones that the server has ended, and the limits of all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connection
from django.test.utils import CaptureQueriesContext

from images.models import ManagedImage
from ri_platform.celery import limit_sessions
from ri_platform.postgresql import sessions
from ri_platform.postgresql.base import DatabaseWrapper


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


@pytest.mark.slow
def test_a_server_that_never_answers_is_told_in_seconds(db: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = {"HOST": "127.0.0.1", "PORT": silent.getsockname()[1]}
        elsewhere = DatabaseWrapper({**connection.settings_dict, **place})
        with pytest.raises(OperationalError):
            elsewhere.ensure_connection()


@pytest.mark.slow
def test_what_the_address_says_goes_before_the_limits() -> None:
    asked = (
        "from django.db import connection as c; p = c.get_connection_params(); "
        "print(p['connect_timeout'], p['keepalives_idle'], p['application_name'])"
    )
    told = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {asked}"],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "ri_platform.settings",
            "DATABASE_URL": "postgres://a@b/c?connect_timeout=9&application_name=d",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["9", "10", "d"]


def test_workers_wait_for_locks_and_stand_still_for_seconds_only(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("lock_timeout", "idle_in_transaction_session_timeout")
    monkeypatch.setattr(sessions, "limits", dict(sessions.limits))
    assert limits_of_a_new_connection(*names) == ["0", "0"]
    limit_sessions()
    assert limits_of_a_new_connection(*names) == ["5s", "30s"]
    monkeypatch.undo()
    connection.close()


def limits_of_a_new_connection(*names: str) -> list[str]:
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting(name) FROM unnest(%s::text[]) AS name", [list(names)]
        )
        return [value for (value,) in cursor.fetchall()]
