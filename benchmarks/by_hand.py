"""The image layer that an expert makes by hand, as fast as the tools allow: what our builds are measured by.

`uv pip install --target` of the libraries, one tar of the result compressed by isal, one push. With bytecode,
uv compiles the sources after it has installed them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isal import igzip_threaded
from uv import find_uv_bin

from images.registry.distribution.client import RegistryClient

# Of isal, as our layers have it.
LEVEL = 2


@dataclass(frozen=True)
class HandMade:
    """The one layer; size in bytes."""

    digest: str
    size: int
    path: Path


def install(
    libraries: Sequence[str],
    target: Path,
    cache: Path,
    *,
    python_version: str,
    bytecode: bool,
    platform: str = "x86_64-manylinux_2_28",
    options: Sequence[str] = (),
) -> None:
    """Install the libraries into `target`; `cache` is uv's own, and decides whether this is cold or warm."""
    subprocess.run(
        [find_uv_bin(), "pip", "install", "-q", "--only-binary", ":all:", "--link-mode", "hardlink",
         "--python-version", python_version, "--python-platform", platform,
         *(["--compile-bytecode"] if bytecode else []),
         "--target", str(target), "--cache-dir", str(cache), *options, *libraries],
        check=True, env={**os.environ, "UV_PYTHON": f"python{python_version}"},
    )  # fmt: skip


def pack(folder: Path, destination: Path) -> HandMade:
    """One layer of everything in `folder`, compressed and hashed while it is written."""

    class Hashed:
        def __init__(self) -> None:
            self.file = destination.open("wb")
            self.sha256, self.size = hashlib.sha256(), 0

        def write(self, data: bytes) -> int:
            self.sha256.update(data)
            self.size += len(data)
            return self.file.write(data)

        def flush(self) -> None:
            self.file.flush()

    packed = Hashed()
    with (
        packed.file,
        igzip_threaded.open(packed, "wb", compresslevel=LEVEL, threads=1) as stream,  # type: ignore[no-untyped-call]
        tarfile.open(fileobj=stream, mode="w|") as tar,
    ):
        tar.add(folder, "opt/managed")
    return HandMade(f"sha256:{packed.sha256.hexdigest()}", packed.size, destination)


def push(made: HandMade, client: RegistryClient, repository: str) -> None:
    client.upload_blob(repository, made.digest, made.size, made.path, check=lambda: None)
