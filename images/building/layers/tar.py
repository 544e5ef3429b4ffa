"""Writing one layer: a deterministic tar, compressed and hashed on the fly, never held in memory.

Formats: OCI image-spec 1.1, layer.md (gzip-compressed tar, digest of the compressed bytes, diff id of
the tar); POSIX pax (IEEE 1003.1) for long names. Time, owner, umask and machine leave no trace.
"""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, BinaryIO

from isal import igzip_threaded

from images.building.layers.paths import FOLDER, LayerPaths
from images.errors import WheelInvalid
from images.registry.distribution.descriptors import OCI_LAYER_GZIP

# A level of isal: as fast as 1, and 3 costs 60 % more time for 2 % fewer bytes (docs/performance.md).
GZIP_LEVEL = 2
PIECE = 1 << 20


@dataclass(frozen=True)
class Layer:
    """A finished layer: `digest` of the gzip, `diff_id` of the tar, `size` of the gzip in bytes.

    `paths` is what is in it (`LayerPaths.packed`), empty where that is not known.
    """

    digest: str
    diff_id: str
    size: int
    path: Path
    media_type: str = OCI_LAYER_GZIP
    paths: bytes = field(default=b"", repr=False)


class Hashing(io.RawIOBase):
    """Passes bytes on and hashes them."""

    def __init__(self, target: BinaryIO | IO[bytes]) -> None:
        self._target = target
        self._sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._sha256.update(data)
        self.size += len(data)
        self._target.write(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"


def gzip_stream(target: Hashing, level: int) -> IO[bytes]:
    """A gzip writer onto `target`; its thread compresses while the caller reads on."""
    stream: IO[bytes] = igzip_threaded.open(target, "wb", compresslevel=level, threads=1)  # type: ignore[no-untyped-call]
    return stream


class LayerFile:
    """A layer being written: `tar` takes the entries, `finish` tells the digests."""

    def __init__(self, destination: Path) -> None:
        self._path = destination
        self._file = destination.open("wb")
        self._compressed = Hashing(self._file)
        # No name and no time in the gzip header: both would make equal layers differ.
        self._gzip = gzip_stream(self._compressed, GZIP_LEVEL)
        self._plain = Hashing(self._gzip)
        self.tar = tarfile.open(fileobj=self._plain, mode="w|", format=tarfile.PAX_FORMAT)

    def finish(self) -> Layer:
        """Close the layer. Call it once; then the file is of no further use here."""
        self._close()
        return Layer(self._compressed.digest, self._plain.digest, self._compressed.size, self._path)

    def abandon(self) -> None:
        """Close and delete an unfinished layer."""
        self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        self.tar.close()
        self._gzip.close()
        self._file.close()


class LayerWriter:
    """Collects files at absolute paths into a layer file; parents are added by themselves."""

    def __init__(self, destination: Path) -> None:
        self._layer = LayerFile(destination)
        self._tar = self._layer.tar
        self._written: dict[str, str] = {}

    def add_file(
        self, path: str, stream: IO[bytes], size: int, sha256: str, *, executable: bool = False
    ) -> None:
        """Add a file of exactly `size` bytes, whose content has the given sha256.

        The same path with the same content is added once. Raises `WheelInvalid` for other content.
        """
        if not self._is_new(path, sha256):
            return
        entry = self._entry(path, 0o755 if executable else 0o644)
        entry.size = size
        self._tar.addfile(entry, stream)

    def add_bytes(self, path: str, data: bytes, *, executable: bool = False) -> None:
        sha256 = hashlib.sha256(data).hexdigest()
        self.add_file(path, io.BytesIO(data), len(data), sha256, executable=executable)

    def add_link(self, path: str, target: str) -> None:
        if self._is_new(path, f"link {target}"):
            entry = self._entry(path, 0o777)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            self._tar.addfile(entry)

    def add_directory(self, path: str) -> None:
        before = self._written.get(path)
        if before not in (None, FOLDER):
            raise self._claimed_twice(path)
        if path and before is None:
            self.add_directory(path.rpartition("/")[0])
            self._written[path] = FOLDER
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            self._tar.addfile(entry)

    def finish(self) -> Layer:
        """Close the layer. Call it once; then the writer is of no further use."""
        return replace(self._layer.finish(), paths=LayerPaths.of(self._written).packed())

    def abandon(self) -> None:
        """Close and delete an unfinished layer."""
        self._layer.abandon()

    def _is_new(self, path: str, content: str) -> bool:
        before = self._written.get(path)
        if before is None:
            self.add_directory(path.rpartition("/")[0])
            self._written[path] = content
            return True
        if before != content:
            raise self._claimed_twice(path)
        return False

    @staticmethod
    def _claimed_twice(path: str) -> WheelInvalid:
        return WheelInvalid(
            f"Two files of one layer claim {path} with different content.",
            hint="Two of the libraries cannot be installed together; remove one of them.",
        )

    @staticmethod
    def _entry(path: str, mode: int) -> tarfile.TarInfo:
        # TarInfo's own defaults are what determinism needs: time 0, owner 0, no names.
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.mode = stat.S_IMODE(mode)
        return entry
