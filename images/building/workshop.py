"""The place where layers of wheels are made: its folders, its caches, and the Python that they are for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from images.building.cache import BoundedCache
from images.building.layers.tar import Layer
from images.building.layers.wheel import MANAGED_PREFIX
from images.building.layers.worker import LayerJob
from images.building.locks.files import LockedWheel
from images.registry.distribution.descriptors import hex_of


@dataclass(frozen=True)
class Workshop:
    """`interpreter` makes `.pyc` files; without it there are none."""

    work: Path
    wheels: BoundedCache
    layers: BoundedCache
    bytecode: BoundedCache
    python_version: str
    interpreter: str | None
    processes: int
    prefix: str = MANAGED_PREFIX

    def job(self, key: str, wheels: Sequence[LockedWheel], files: Sequence[Path]) -> LayerJob:
        """The making of a layer of `wheels`, whose files are here, with what is remembered of them."""
        remembered = bytecode_name(wheels, self.python_version)
        known, learned = (self.work / f"{word}-{key}" for word in ("known", "learned"))
        if remembered:
            self.bytecode.take(remembered, known)
        return LayerJob(
            wheels=tuple(files),
            python_version=self.python_version,
            destination=self.work / f"made-{key}.tar.gz",
            prefix=self.prefix,
            known=known if remembered else None,
            learned=learned if remembered else None,
        )

    def keep(self, job: LayerJob, wheels: Sequence[LockedWheel], layer: Layer) -> None:
        """Keep a finished layer, and the bytecode that was new in it."""
        self.layers.keep(name_of(layer.digest), layer.path)
        if job.learned and job.learned.exists():
            self.bytecode.replace(bytecode_name(wheels, self.python_version), job.learned)


def bytecode_name(wheels: Sequence[LockedWheel], python_version: str) -> str:
    """The name in the cache of what is remembered of a library: of one index and one Python.

    Empty for several wheels in one layer, and for those that were built here: their sources come from a
    sandbox, and share nothing with anybody's.
    """
    if len(wheels) != 1 or not wheels[0].url:
        return ""
    origin = urlsplit(wheels[0].url).netloc
    sha256 = hashlib.sha256("\0".join((origin, wheels[0].name, python_version)).encode())
    return f"{sha256.hexdigest()[:2]}/{sha256.hexdigest()}"


def name_of(digest: str) -> str:
    """A blob's name in the layer cache."""
    sha256 = hex_of(digest)
    return f"{sha256[:2]}/{sha256}"
