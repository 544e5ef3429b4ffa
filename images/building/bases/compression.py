"""Reading a tar whose compression its first bytes tell: none, gzip, bzip2, xz or zstd.

Sources: RFC 1952 (gzip), RFC 8878 (zstd), OCI image-spec, layer.md. A file of some kilobytes can unpack to
terabytes, so what is read is limited: in bytes, in proportion to the file, and in the memory that unpacking
takes.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

from images.errors import BaseImageUnusable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# What the largest images with GPU libraries unpack to is a third of this.
MAX_PLAIN = 64 << 30
# A small file may be all zeros; beyond that, real file systems pack ten to one at the most.
MAX_RATIO, FREE_OF_RATIO = 200, 256 << 20
# Of xz and zstd: what a stream may make its reader hold. `zstd --long` writes no larger window by itself.
MAX_MEMORY, MAX_WINDOW_LOG = 256 << 20, 27
PIECE = 1 << 20

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
# Errors of a stream that is damaged, cut off, or asks for too much memory.
UNREADABLE = (EOFError, OSError, zlib.error, lzma.LZMAError, zstd.ZstdError, ValueError)


class Decompressor(Protocol):
    """What the decompressors of `bz2`, `lzma` and `compression.zstd` have in common."""

    def decompress(self, data: bytes, max_length: int) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


DECOMPRESSORS: dict[bytes, Callable[[], Decompressor]] = {
    BZIP2: bz2.BZ2Decompressor,
    XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY),
    ZSTD: lambda: zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
    ),
}


class Unpacked(io.RawIOBase):
    """The plain bytes of a file of one or more compressed streams, one behind the other.

    Raises `EOFError` where the file ends within a stream.
    """

    def __init__(self, file: IO[bytes], new: Callable[[], Decompressor]) -> None:
        self._file, self._new, self._stream = file, new, new()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while True:
            if self._stream.eof:
                self._rest = self._stream.unused_data or self._file.read(PIECE)
                if not self._rest.strip(b"\0"):
                    return 0
                self._stream = self._new()
            elif not self._rest and self._stream.needs_input:
                self._rest = self._file.read(PIECE)
                if not self._rest:
                    raise EOFError("it ends within a compressed stream")
            piece, self._rest = self._stream.decompress(self._rest, len(buffer)), b""
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)


class Limited(io.RawIOBase):
    """The bytes of `stream` up to a limit. Raises `BaseImageUnusable` beyond it, and for a damaged file."""

    def __init__(
        self, stream: IO[bytes] | io.BufferedIOBase | io.RawIOBase, name: str, limit: int
    ) -> None:
        self._stream, self._name, self._limit, self.count = stream, name, limit, 0

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            # None is for streams that do not wait, and files do.
            count = self._stream.readinto(buffer) or 0  # type: ignore[union-attr]
        except UNREADABLE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BaseImageUnusable(
                f"{self._name} cannot be unpacked: {error}.",
                hint="It is damaged or not complete, or was compressed with more memory than is given here.",
            ) from error
        self.count += count
        if self.count > self._limit:
            raise BaseImageUnusable(
                f"{self._name} unpacks to more than {self._limit >> 20:,} MiB.",
                hint="It may be made to exhaust whoever unpacks it; a base image is no such file.",
            )
        return count


def open_plain(path: Path, *, name: str = "", limit: int = MAX_PLAIN) -> Limited:
    """The plain bytes of a file. Reading raises `BaseImageUnusable` beyond `limit` bytes or `MAX_RATIO` times
    the file, and where it is damaged."""
    size = path.stat().st_size
    file = path.open("rb")
    magic = file.read(6)
    file.seek(0)
    stream: IO[bytes] | io.BufferedIOBase | io.RawIOBase = file
    if magic.startswith(GZIP):
        file.close()
        stream = gzip.open(path, "rb")
    else:
        for first, new in DECOMPRESSORS.items():
            if magic.startswith(first):
                stream = Unpacked(file, new)
    within = max(size * MAX_RATIO, FREE_OF_RATIO)
    return Limited(stream, name or path.name, min(limit, within))
