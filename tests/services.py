"""A pytest plugin (`-p tests.services`): the whole run has a PostgreSQL of its own.

It starts before the settings load, in a state folder of its own, so a `make run` beside it is neither
needed nor touched. `RI_TEST_DATABASE_URL` names another server to use instead; that is also how the
processes of `pytest -n` find the one of the process that started them.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from ri_platform.local import services

STATE = Path(tempfile.mkdtemp(prefix="ri-test-"))
postgres: services.Postgres | None = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None, None, None]:
    for name in [key for key in os.environ if key.startswith(("AWS_", "RI_"))]:
        if not name.startswith("RI_TEST_"):
            del os.environ[name]
    # A shell's background jobs ignore Ctrl-C, and so would every process that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    STATE.chmod(0o755)  # embedded PostgreSQL runs as a user of its own when root starts it
    os.environ["RI_STATE_DIR"] = str(STATE)
    (STATE / "static").mkdir()
    # Task bodies are called directly; what they would send on goes nowhere.
    os.environ["CELERY_BROKER_URL"] = "memory://"
    if "RI_TEST_DATABASE_URL" not in os.environ:
        os.environ["RI_TEST_DATABASE_URL"] = start_postgres()
    os.environ["DATABASE_URL"] = os.environ["RI_TEST_DATABASE_URL"]
    yield


def start_postgres() -> str:
    """A PostgreSQL that need not survive the machine, so it waits for no disk."""
    global postgres
    postgres = services.start_postgres(STATE / "postgres")
    url = postgres.url("postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute("SELECT pg_reload_conf()")
    return url


def pytest_unconfigure() -> None:
    if postgres is not None:
        postgres.stop()
    shutil.rmtree(STATE, ignore_errors=True)
