"""A pytest plugin (`-p tests.services`): the whole run has a PostgreSQL of its own.

It starts before the settings load, in a state folder of its own, so a `make run` beside it is neither
needed nor touched. `RI_TEST_DATABASE_URL` names another server to use instead; that is also how the
processes of `pytest -n` find the one of the process that started them.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from ri_platform.local import services
from tests import migrated

STATE = Path(tempfile.mkdtemp(prefix="ri-test-"))
# One folder for all processes of `pytest -n`: what takes a minute to make is made once a run.
SHARED = Path(os.environ.setdefault("RI_TEST_SHARED_DIR", str(STATE / "shared")))
postgres: services.Postgres | None = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None, None, None]:
    for name in [key for key in os.environ if key.startswith(("AWS_", "RI_"))]:
        if not name.startswith("RI_TEST_"):
            del os.environ[name]
    # A shell's background jobs ignore Ctrl-C, and so would every process that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Hardly anything that is collected becomes garbage (tests/conftest.py lets it be looked for again).
    gc.disable()
    STATE.chmod(0o755)  # embedded PostgreSQL runs as a user of its own when root starts it
    os.environ["RI_STATE_DIR"] = str(STATE)
    (STATE / "static").mkdir()
    SHARED.mkdir(exist_ok=True)
    # Task bodies are called directly; what they would send on goes nowhere.
    os.environ["CELERY_BROKER_URL"] = "memory://"
    if "RI_TEST_DATABASE_URL" not in os.environ:
        os.environ["RI_TEST_DATABASE_URL"] = start_postgres()
    os.environ["DATABASE_URL"] = os.environ["RI_TEST_DATABASE_URL"]
    yield


def start_postgres() -> str:
    """A PostgreSQL that need not survive the machine, so it waits for no disk.

    Nothing vacuums or analyses behind a test's back: plans that a test looks at follow from what it did.
    """
    global postgres
    postgres = services.start_postgres(STATE / "postgres")
    url = postgres.url("postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute("SELECT pg_reload_conf()")
    os.environ["RI_TEST_TEMPLATE"] = migrated.load(postgres.socket_dir)
    return url


def pytest_unconfigure() -> None:
    if postgres is not None:
        postgres.stop()
    shutil.rmtree(STATE, ignore_errors=True)


def share_debian(cache: Path) -> None:
    """Have a cache use the run's file systems of Debian, which take a minute to make."""
    made = SHARED / "bases"
    made.mkdir(exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "bases").exists():
        (cache / "bases").symlink_to(made)
