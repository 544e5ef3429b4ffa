"""Files whose bytes are uploaded: whole ones, and those that a process is still writing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from images.registry.distribution.descriptors import Descriptor

LOOK_SECONDS = 0.05


class GivenUp(Exception):
    """Whoever wrote the file has not finished it."""


class Source(Protocol):
    """The bytes of a blob. `check` is asked while something is awaited, and may raise."""

    def open(self, check: Callable[[], None]) -> IO[bytes]: ...

    def part(self, offset: int, limit: int, check: Callable[[], None]) -> int:
        """How many bytes from `offset` on make the next part: `limit`, or what is left; 0 at the end."""

    @property
    def digest(self) -> str:
        """The blob's digest, which is known at its end."""


@dataclass(frozen=True)
class WholeFile:
    """A file that is there, of this size and digest."""

    path: Path
    size: int
    digest: str

    def open(self, check: Callable[[], None]) -> IO[bytes]:
        return self.path.open("rb")

    def part(self, offset: int, limit: int, check: Callable[[], None]) -> int:
        return min(limit, self.size - offset)


class GrowingFile:
    """A file that a process writes from its start to its end; `end` says what it has become.

    A part is there as soon as the file is that long. Raises `GivenUp` where the file is not finished.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ended = threading.Event()
        self._blob: Descriptor | None = None

    def end(self, blob: Descriptor | None) -> None:
        """Nothing more is written: the file is this blob, or nothing of use."""
        self._blob = blob
        self._ended.set()

    @property
    def blob(self) -> Descriptor:
        if self._blob is None:
            raise GivenUp
        return self._blob

    @property
    def digest(self) -> str:
        return self.blob.digest

    def open(self, check: Callable[[], None]) -> IO[bytes]:
        while not (self.path.exists() or self._ended.wait(LOOK_SECONDS)):
            check()
        if self._ended.is_set() and self._blob is None:
            raise GivenUp
        return self.path.open("rb")

    def part(self, offset: int, limit: int, check: Callable[[], None]) -> int:
        while not self._ended.is_set():
            check()
            if self.path.stat().st_size - offset >= limit:
                return limit
            self._ended.wait(LOOK_SECONDS)
        return min(limit, self.blob.size - offset)
