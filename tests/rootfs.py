"""Root file systems for tests and benchmarks."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
from pathlib import Path


def patched_debian(cache: Path, folder: Path) -> Path:
    """The Debian base image that `cache` holds with one more file, as a security update would have."""
    (kept,) = (cache / "bases").glob("debian-bookworm-*.tar.gz")
    path = folder / "rootfs.tar"
    with gzip.open(kept) as packed, path.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    with tarfile.open(path, "a") as tar:
        entry = tarfile.TarInfo("etc/patched")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"yes\n"))
    return path
