"""Writing one layer: a deterministic tar, compressed and hashed on the fly, never held in memory.

Formats: OCI image-spec 1.1, layer.md (gzip-compressed tar, digest of the compressed bytes, diff id of
the tar); POSIX pax (IEEE 1003.1) for long names. The time of day, owner, umask and machine leave no trace.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, BinaryIO

from isal import igzip_threaded

from images.building.layers.notes import Note
from images.building.layers.paths import FOLDER, LayerPaths
from images.building.native.elf import MAGIC
from images.building.native.report import NativeFiles
from images.errors import WheelInvalid
from images.registry.distribution.descriptors import OCI_LAYER_GZIP

# A level of isal: as fast as 1, and 3 costs 60 % more time for 2 % fewer bytes (docs/performance.md).
GZIP_LEVEL = 2
PIECE = 1 << 20
BLOCK = 102 * tarfile.RECORDSIZE
# The time of every entry, in seconds: the first of 1980, the earliest that ZIP archives can tell
# (APPNOTE.TXT, 4.4.6). Python's zipfile refuses to pack files with an earlier one.
MTIME = 315_532_800


@dataclass(frozen=True)
class Layer:
    """A finished layer: `digest` of the gzip, `diff_id` of the tar, `size` of the gzip in bytes.

    `paths` is what is in it (`LayerPaths.pack`), `native` which native libraries it has and needs
    (`NativeReport.pack`); each is empty where that is not known. `notes` is what is to be told of it.
    """

    digest: str
    diff_id: str
    size: int
    path: Path
    media_type: str = OCI_LAYER_GZIP
    paths: bytes = field(default=b"", repr=False)
    notes: tuple[Note, ...] = ()
    native: bytes = field(default=b"", repr=False)


class HashingWriter(io.RawIOBase):
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


def gzip_stream(target: HashingWriter, level: int) -> IO[bytes]:
    """A gzip writer onto `target`; its thread compresses while the caller reads on."""
    stream: IO[bytes] = igzip_threaded.open(target, "wb", compresslevel=level, threads=1)  # type: ignore[no-untyped-call]
    return stream


def layer_entry(name: str) -> tarfile.TarInfo:
    """An entry of a layer: of one fixed time, of root and without names of owners, which `TarInfo` has so."""
    entry = tarfile.TarInfo(name)
    entry.mtime = MTIME
    return entry


class BlockWriter:
    """Hashes bytes and passes them on in blocks of one size, so that neither depends on how they came.

    The size decides the gzip's bytes. It is that in which `tarfile` filled the buffer of `igzip_threaded`.
    """

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._block = bytearray()
        self._sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self._block += data
        if len(self._block) >= BLOCK:
            held = memoryview(bytes(self._block))
            whole = len(held) - len(held) % BLOCK
            for start in range(0, whole, BLOCK):
                self._pass_on(held[start : start + BLOCK])
            self._block = bytearray(held[whole:])

    def flush(self) -> None:
        self._pass_on(memoryview(bytes(self._block)))
        self._block.clear()

    def _pass_on(self, block: memoryview) -> None:
        self._sha256.update(block)
        self._target.write(block)

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"


class LayerFile:
    """A layer being written: `add` takes the entries, `finish` tells the digests."""

    def __init__(self, destination: Path) -> None:
        self._path = destination
        self._file = destination.open("wb")
        self._compressed = HashingWriter(self._file)
        # No name and no time in the gzip header: both would make equal layers differ.
        self._gzip = gzip_stream(self._compressed, GZIP_LEVEL)
        self._plain = BlockWriter(self._gzip)

    def add(self, entry: tarfile.TarInfo, content: Iterable[bytes] = ()) -> None:
        """Add an entry, and its content of exactly `entry.size` bytes."""
        self._plain.write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        start = self._plain.size
        for piece in content:
            self._plain.write(piece)
        size = self._plain.size - start
        if size != entry.size:
            raise OSError(f"{entry.name} has {size:,} bytes instead of {entry.size:,}")
        self._plain.write(bytes(-size % tarfile.BLOCKSIZE))

    def finish(self) -> Layer:
        """Close the layer. Call it once; then the file is of no further use here."""
        # An archive ends with two blocks of zeros, and is filled up to a whole record (POSIX pax).
        self._plain.write(bytes(2 * tarfile.BLOCKSIZE))
        self._plain.write(bytes(-self._plain.size % tarfile.RECORDSIZE))
        self._plain.flush()
        self._close()
        return Layer(self._compressed.digest, self._plain.digest, self._compressed.size, self._path)

    def abandon(self) -> None:
        """Close and delete an unfinished layer, also if its disk is full, which is told before."""
        with contextlib.suppress(OSError):
            self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        try:
            self._gzip.close()
        finally:
            self._file.close()


class NativeCopy(ExitStack):
    """A copy on disk of a large file that has to be read at any place: an ELF file, or a module."""

    def __init__(self, path: str, folder: Path) -> None:
        super().__init__()
        self._path, self._folder = path, folder
        self._begun = False
        self.file: IO[bytes] | None = None

    def passed(self, piece: bytes) -> bytes:
        """The next piece of the file, as it is."""
        if not self._begun and (self._path.endswith(".py") or piece.startswith(MAGIC)):
            self.file = self.enter_context(tempfile.TemporaryFile(dir=self._folder))
        self._begun = True
        if self.file is not None:
            self.file.write(piece)
        return piece


class LayerWriter:
    """Collects files at absolute paths into a layer file; parents are added by themselves.

    `library` names the one whose files are being added, for the report on native libraries.
    """

    def __init__(self, destination: Path) -> None:
        self._layer = LayerFile(destination)
        self._folder = destination.parent
        self._written: dict[str, str] = {}
        self._owners: dict[str, int] = {}
        # The number of the wheel that is being written, where several share the layer.
        self.owner = 0
        self._native = NativeFiles()
        self.library = ""

    def add_bytes(
        self, path: str, data: bytes, sha256: str = "", *, executable: bool = False
    ) -> None:
        """Add a file, whose content has the given sha256 where it is known.

        The same path with the same content is added once. Raises `WheelInvalid` for other content.
        """
        if not self._is_new(path, sha256 or hashlib.sha256(data).hexdigest()):
            return
        self._layer.add(self._file_entry(path, len(data), executable), (data,))
        self._native.look_at(path, io.BytesIO(data), len(data), self.library)

    def add_pieces(
        self,
        path: str,
        pieces: Iterable[bytes],
        size: int,
        sha256: Callable[[], str],
        *,
        executable: bool = False,
    ) -> None:
        """Add a file of exactly `size` bytes as its content comes, at a path that nothing has yet.

        `sha256` tells that of the content once it has come.
        """
        # What stands for its content until that is known.
        if path in self._written or not self._is_new(path, "unread"):
            raise self._conflict(path)
        with NativeCopy(path, self._folder) as copy:
            self._layer.add(self._file_entry(path, size, executable), map(copy.passed, pieces))
            if copy.file is not None:
                self._native.look_at(path, copy.file, size, self.library)
        self._written[path] = sha256()

    def add_link(self, path: str, target: str) -> None:
        if self._is_new(path, f"link {target}"):
            entry = self._entry(path, 0o777)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            self._layer.add(entry)
            self._native.link(path)

    def add_directory(self, path: str, *, owner: int = 0) -> None:
        """Add a folder that belongs to this user and group; those above it are root's."""
        before = self._written.get(path)
        if before not in (None, FOLDER):
            raise self._conflict(path)
        if path and before is None:
            self.add_directory(path.rpartition("/")[0])
            self._written[path] = FOLDER
            entry = self._entry(path, 0o755)
            entry.type = tarfile.DIRTYPE
            entry.uid = entry.gid = owner
            self._layer.add(entry)

    def finish(self) -> Layer:
        """Close the layer. Call it once; then the writer is of no further use."""
        return replace(
            self._layer.finish(),
            paths=LayerPaths.of(self._written, self._owners).pack(),
            native=self._native.report().pack(),
        )

    def abandon(self) -> None:
        """Close and delete an unfinished layer."""
        self._layer.abandon()

    def _is_new(self, path: str, content: str) -> bool:
        before = self._written.get(path)
        if before is None:
            self.add_directory(path.rpartition("/")[0])
            self._written[path] = content
            self._owners[path] = self.owner
            return True
        if before != content:
            raise self._conflict(path)
        return False

    @staticmethod
    def _conflict(path: str) -> WheelInvalid:
        return WheelInvalid(
            f"Two files of one layer claim {path} with different content.",
            hint="Two of the libraries cannot be installed together; remove one of them.",
        )

    def _file_entry(self, path: str, size: int, executable: bool) -> tarfile.TarInfo:
        entry = self._entry(path, 0o755 if executable else 0o644)
        entry.size = size
        return entry

    @staticmethod
    def _entry(path: str, mode: int) -> tarfile.TarInfo:
        entry = layer_entry(path.lstrip("/"))
        entry.mode = stat.S_IMODE(mode)
        return entry
