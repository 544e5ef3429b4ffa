"""Unpacking the files of a wheel: each is inflated once, by isal, and held against the archive's table.

Sources: APPNOTE.TXT, the ZIP format, 4.4.5 (methods) and 4.4.7 (CRC-32); RFC 1951 (DEFLATE). The standard
library's `zipfile` finds a file and checks its local header; its inflate is zlib's, which takes two to three
times as long.
"""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Iterator
from typing import Any

from isal import igzip_lib, isal_zlib

PIECE = 1 << 20
PACKED_PIECE = 256 << 10
# Of `zlib.decompressobj`: no header (zlib's manual, inflateInit2).
RAW = -15
InflateError: Any = igzip_lib.IsalError


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the archive as one value. Raises what reading an archive raises."""
    return b"".join(member_pieces(archive, name))


def member_pieces(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """A file of the archive in pieces of at most 1 MiB: of the size and the checksum that the table says.

    Raises `BadZipFile` for another size or checksum, `InflateError` for what cannot be inflated.
    """
    info = archive.getinfo(name)
    checksum = size = 0
    pieces = (
        stored_pieces(archive, info)
        if info.compress_type == zipfile.ZIP_STORED
        else inflated_pieces(archive, info)
    )
    for piece in pieces:
        checksum = isal_zlib.crc32(piece, checksum)
        size += len(piece)
        if size > info.file_size:
            break
        yield piece
    if size != info.file_size or checksum != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {name!r}")


def stored_pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as stream:
        while piece := stream.read(PIECE):
            yield piece


def inflated_pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    # The same entry as if it were stored, without a checksum, is its compressed bytes.
    packed = copy.copy(info)
    packed.compress_type = zipfile.ZIP_STORED
    packed.file_size = info.compress_size
    del packed.CRC
    inflate = isal_zlib.decompressobj(RAW)
    with archive.open(packed) as stream:
        while not inflate.eof:
            given = inflate.unconsumed_tail or stream.read(PACKED_PIECE)
            piece = inflate.decompress(given, PIECE)
            if piece:
                yield piece
            elif not given:
                return
