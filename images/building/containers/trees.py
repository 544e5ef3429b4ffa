"""Unpacked file trees that are worth keeping: bounded by size, least recently used out first.

Many processes may share a folder. A tree appears under its name only when it is complete, and none is
dropped while a process holds it: holding is a shared lock of the tree's own lock file (flock(2)), making
and dropping take the exclusive one. The lock file contains the tree's size in bytes.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from images.building.cache import TRIM_TO, work_folder

LOCK = ".lock"
ASK_AGAIN_SECONDS = 0.05


class TreeCache:
    """Trees in `folder` of together at most about `limit` bytes, made in a work folder of `root`.

    `root` is on the same file system. A name is a file's name.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self._root, self._folder, self._limit = root, root / "trees", limit

    @contextmanager
    def held(
        self, name: str, make: Callable[[Path], None], check: Callable[[], None]
    ) -> Iterator[Path]:
        """The tree of this name, for as long as the context lasts.

        If it is not here, `make` fills an empty folder. `check` is asked while another process makes it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / name
        while True:
            with self._locked(name, fcntl.LOCK_SH, check) as lock:
                if place.exists():
                    os.utime(lock)
                    yield place
                    return
            with self._locked(name, fcntl.LOCK_EX, check) as lock:
                if not place.exists():
                    self._make(place, lock, make)

    def _make(self, place: Path, lock: int, make: Callable[[Path], None]) -> None:
        with work_folder(self._root, "tree") as work:
            # A work folder is the worker's alone, and every user is to walk the tree.
            made = work / "made"
            made.mkdir(mode=0o755)
            made.chmod(0o755)
            make(made)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(size_of(made)).encode(), 0)
            made.rename(place)

    def trim(self) -> int:
        """Drop the least recently used trees beyond the limit; returns the bytes dropped.

        Trees that a process holds stay.
        """
        kept = sorted(self._kept())
        held, dropped = sum(size for _, size, _ in kept), 0
        for _, size, name in kept if held > self._limit else ():
            if held - dropped <= self._limit * TRIM_TO:
                break
            dropped += size if self._drop(name) else 0
        return dropped

    def _kept(self) -> Iterator[tuple[float, int, str]]:
        """(last use, size, name) of every tree."""
        for path in self._folder.glob(f"*{LOCK}"):
            with suppress(FileNotFoundError):
                size = path.read_text(encoding="ascii")
                yield path.stat().st_mtime, int(size or 0), path.name.removesuffix(LOCK)

    def _drop(self, name: str) -> bool:
        """Whether nobody held the tree, so that it could go."""
        with open_lock(self._folder / f"{name}{LOCK}") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            with work_folder(self._root, "dropped") as work:
                # In one step, for what is half removed must not be taken for a tree.
                with suppress(FileNotFoundError):
                    (self._folder / name).rename(work / "dropped")
                (self._folder / f"{name}{LOCK}").unlink(missing_ok=True)
        return True

    @contextmanager
    def _locked(self, name: str, kind: int, check: Callable[[], None]) -> Iterator[int]:
        path = self._folder / f"{name}{LOCK}"
        while True:
            with open_lock(path) as lock:
                while not taken(lock, kind):
                    check()
                    time.sleep(ASK_AGAIN_SECONDS)
                # Whoever dropped the tree meanwhile has removed this file, and another may be there now.
                if is_at(lock, path):
                    yield lock
                    return


def taken(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def open_lock(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def size_of(folder: Path) -> int:
    """Bytes that the files in a folder take, without following links."""
    total = 0
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            total += size_of(Path(entry.path))
        else:
            total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
