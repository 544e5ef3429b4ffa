"""Values of a lock for tests: whatever is not said is as it could be."""

from __future__ import annotations

import hashlib

from images.building.locks.files import LockedSource, LockedWheel


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def a_wheel(name: str, version: str = "1", size: int | None = None, url: str = "") -> LockedWheel:
    filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return LockedWheel(
        name, version, filename, url or f"https://files.test/{filename}", sha256(filename), size
    )


def a_source(name: str, version: str = "1") -> LockedSource:
    filename = f"{name.replace('-', '_')}-{version}.tar.gz"
    return LockedSource(name, version, filename, f"https://files.test/{filename}", sha256(filename))
