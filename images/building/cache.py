"""Files that are worth keeping between builds: bounded by size, least recently used out first.

Many processes may share a folder. A file appears under its name only when it is complete, and a
build works on hard links of its own, so what another process drops meanwhile stays readable.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, NamedTuple

from django.conf import settings

from images.building.leftovers import left_behind

# Trimming stops below the limit, so that not every build has to trim.
TRIM_TO = 0.9
# What a killed worker of a version without locks left is nobody's any more after a day; no build takes that
# long.
LEFTOVER_SECONDS = 86_400.0
WORK, LOCK = "work-", ".lock"


class BoundedCache:
    """Files in `folder` of together at most about `limit` bytes; a name may contain slashes."""

    # Where this process has kept nothing since it looked last: looking costs as much as there are files.
    _settled: ClassVar[set[tuple[Path, int]]] = set()

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def take(self, name: str, into: Path) -> bool:
        """Link the file to `into` and mark it as used; False if it is not here."""
        kept = self._folder / name
        try:
            os.utime(kept)
            os.link(kept, into)
        except FileNotFoundError:
            return False
        except FileExistsError:
            pass
        return True

    def keep(self, name: str, source: Path) -> None:
        """Keep a link to a finished file. Keeping what is here already changes nothing."""
        kept = self._folder / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        self._settled.discard((self._folder, self._limit))
        with suppress(FileExistsError):
            os.link(source, kept)

    def replace(self, name: str, source: Path) -> None:
        """Keep a link to a finished file in place of what has this name."""
        kept = self._folder / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        # On the folder's file system, and of a name that is `source`'s alone.
        fresh = kept.with_name(f"{kept.name}.{source.parent.name}-{source.name}")
        fresh.unlink(missing_ok=True)
        os.link(source, fresh)
        fresh.rename(kept)
        # Of two names of one file, rename(2) leaves both.
        fresh.unlink(missing_ok=True)

    def trim(self) -> int:
        """Drop the least recently used files beyond the limit; returns the bytes dropped.

        One process at a time; the others leave it to that one. Who has kept nothing leaves it to who has.
        """
        if (self._folder, self._limit) in self._settled:
            return 0
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            found = sorted(self._files())
            held = sum(size for _, size, _ in found)
            dropped = 0
            if held > self._limit:
                for _, size, path in found:
                    if held - dropped <= self._limit * TRIM_TO:
                        break
                    path.unlink(missing_ok=True)
                    dropped += size
        self._settled.add((self._folder, self._limit))
        return dropped

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """(last use, size, path) of every file."""
        for path in self._folder.rglob("*"):
            if path.name != ".lock":
                with suppress(FileNotFoundError):
                    status = path.stat()
                    if path.is_file():
                        yield status.st_mtime, status.st_size, path


class Caches(NamedTuple):
    wheels: BoundedCache
    layers: BoundedCache
    bytecode: BoundedCache


def caches() -> Caches:
    """This machine's wheels, layers and bytecode."""
    return Caches(
        BoundedCache(settings.CACHE_DIR / "wheels", settings.WHEEL_CACHE_BYTES),
        BoundedCache(settings.CACHE_DIR / "layers", settings.LAYER_CACHE_BYTES),
        BoundedCache(settings.CACHE_DIR / "bytecode", settings.BYTECODE_CACHE_BYTES),
    )


@contextmanager
def work_folder(root: Path, prefix: str) -> Iterator[Path]:
    """A folder beside the caches, on their file system, that is gone afterwards.

    Also removes what workers that were killed have left: such a folder may hold gigabytes.
    """
    root.mkdir(parents=True, exist_ok=True)
    remove_leftovers(root)
    with own_lock(root, f"{WORK}{prefix}-") as lock:
        work = folder_of(lock)
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def own_lock(root: Path, prefix: str) -> Iterator[Path]:
    """A new file that is locked (flock(2)) as long as this process needs it.

    The kernel lets go of it when the process ends, whichever way.
    """
    while True:
        descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=LOCK, dir=root)
        lock = Path(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Before it is locked, whoever clears up may have taken it for left behind.
            if lock.exists():
                yield lock
                return
        finally:
            lock.unlink(missing_ok=True)
            os.close(descriptor)


def folder_of(lock: Path) -> Path:
    return lock.with_name(lock.name.removesuffix(LOCK))


def remove_leftovers(root: Path) -> None:
    """Remove the work folders that no process has locked."""
    for lock in root.glob(f"{WORK}*{LOCK}"):
        with suppress(OSError), left_behind(lock):
            shutil.rmtree(folder_of(lock), ignore_errors=True)
            lock.unlink()
    long_ago = time.time() - LEFTOVER_SECONDS
    for left in root.glob(f"{WORK}*"):
        if left.suffix == LOCK or left.with_name(f"{left.name}{LOCK}").exists():
            continue
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < long_ago:
                shutil.rmtree(left, ignore_errors=True)
