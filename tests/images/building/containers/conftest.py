"""Fixtures for sandboxes."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images.building.containers.trying import Trying


@pytest.fixture
def one_at_a_time() -> Iterator[None]:
    """These tests look at all sandboxes' processes of the machine; pytest runs two modules at once."""
    with (Path(tempfile.gettempdir()) / f"ri-test-sandboxes-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def trying(settings: Any, tmp_path: Path) -> Trying:
    settings.CACHE_DIR = tmp_path / "cache"
    return Trying()
