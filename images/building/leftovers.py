"""Leftovers of processes that were killed: an owner locks what is its own (flock(2)) as long as it lives.

The kernel lets go of the lock when the process ends, whichever way, so nobody's number or clock is asked.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def left_behind(path: Path, flags: int = os.O_RDWR) -> Iterator[None]:
    """Hold the lock of a file or a folder whose owner has ended.

    Raises `OSError` if the owner lives, if another process holds the lock for the same, or if it is gone.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
