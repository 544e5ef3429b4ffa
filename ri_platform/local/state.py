"""The state folder of `make run`, which only its owner can read.

The process and its children have the umask 077, and the start removes wider modes from existing files. There
are two exceptions: if root starts PostgreSQL, its own user traverses the folder to its data; and work folders
(`cache/work-…`) keep the modes that the build tools set.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ri_platform.env import read_env_file
from ri_platform.local import services
from ri_platform.local.reaper import GRACE_SECONDS

UMASK = 0o077
# PostgreSQL's user traverses the folder, but cannot list it.
SEARCHED_BY_OTHERS = 0o711
OTHERS = stat.S_IRWXG | stat.S_IRWXO
# Its own user's (PostgreSQL refuses to start on data that others may read), and half-made images.
NOT_OURS = ("postgres", "cache/work-*")


class CannotStart(Exception):
    """The product cannot start. The message is a sentence for the user at the terminal."""


@dataclass(frozen=True)
class Place:
    """The state folder and the ports of this instance."""

    state: Path
    port: int
    aws_port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"


@contextmanager
def open_state(state: Path) -> Iterator[IO[str]]:
    """Hold the folder, made if it is missing and closed to others; gives the lock. Raises `CannotStart`."""
    lock = hold(state)
    try:
        yield lock
    finally:
        lock.close()


def hold(state: Path) -> IO[str]:
    """Lock the folder. A second start reports the first one and changes nothing; what a start that was killed
    has left ends within seconds, and is waited for.
    """
    os.umask(UMASK)
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("a+")
        acquire(lock)
        lock.truncate(0)
        print(os.getpid(), file=lock, flush=True)
        make_private(state)
    except BlockingIOError as error:
        port = read_env_file(state / "run.env").get("PORT", "8000")
        raise CannotStart(
            f"It is running already, at http://127.0.0.1:{port} (state in {state})."
        ) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise CannotStart(f"{error.filename} is a file, and no state folder.") from error
    except PermissionError as error:
        path = Path(error.filename)
        raise CannotStart(
            f"{path} belongs to {owner_of(path)}. Start as that user, or choose another state folder: "
            "RI_STATE_DIR=.local-mine make run"
        ) from error
    return lock


def acquire(lock: IO[str]) -> None:
    """Take the lock, whose file has its holder's process id. Raises `BlockingIOError` if that one lives."""
    deadline = time.monotonic() + GRACE_SECONDS + 1
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            if is_alive(lock.read().strip()) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def is_alive(process: str) -> bool:
    """Whether there is a process of this id; one that has not written it yet has just begun."""
    try:
        os.kill(int(process or os.getpid()), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def make_private(state: Path) -> None:
    """Remove the permissions of group and others from the folder and its contents."""
    close(state)
    for folder, folders, files in os.walk(state):
        here = Path(folder)
        folders[:] = [name for name in folders if not is_not_ours(state, here / name)]
        for name in (*folders, *files):
            close(here / name)


def is_not_ours(state: Path, path: Path) -> bool:
    return any(path.relative_to(state).match(pattern) for pattern in NOT_OURS)


def close(path: Path) -> None:
    mode = path.lstat().st_mode
    if mode & OTHERS and not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def owner_of(path: Path) -> str:
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "somebody else"


def choose_aws_port(state: Path) -> int:
    """The port of the last start, since pull references contain it.

    At first it follows from the folder's path, so that two folders on one machine choose different ones,
    whichever of them is running meanwhile.
    """
    kept = state / "aws-port"
    if kept.exists():
        port = int(kept.read_text())
        if not services.port_is_free(port):
            raise CannotStart(
                f"Port {port} of the local AWS is taken, and references to images contain it. "
                f"Free it, or delete {kept} to choose another."
            )
        return port
    port = services.free_port(zlib.crc32(os.fsencode(state)))
    kept.write_text(str(port))
    return port


def demo_password(state: Path) -> str:
    return os.environ.get("RI_DEMO_PASSWORD") or kept_secret(state / "demo-password", 12)


def kept_secret(path: Path, length: int) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(length))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
