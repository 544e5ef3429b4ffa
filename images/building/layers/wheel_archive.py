"""A wheel as an archive from somebody: looked at before a byte of it is unpacked.

Sources: the binary distribution format (PEP 427 and its successor on packaging.python.org); APPNOTE.TXT,
the ZIP format, 4.3.12 to 4.3.16 and 4.4.4; OCI image-spec, layer.md (whiteouts).
"""

from __future__ import annotations

import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from images.errors import WheelInvalid

# The largest wheels of the public index have some ten thousand files.
MAX_ENTRIES = 120_000
MAX_DIRECTORY_BYTES = 64 << 20
MAX_UNPACKED = 8 << 30
# DEFLATE cannot do better than 1032:1; whole wheels stay below 30:1.
MAX_RATIO = 100
RATIO_COUNTS_FROM = 64 << 20
MAX_PATH, MAX_COMPONENT, MAX_DEPTH = 1_024, 255, 64
# What installing reads into memory: RECORD has a line a file, the others a page or two.
MAX_RECORD = 32 << 20
MAX_METADATA = 4 << 20
WHITEOUT = ".wh."

_END, _END_64, _LOCATOR_64, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_END_BYTES, _END_64_BYTES, _LOCATOR_BYTES, _ENTRY_BYTES = 22, 56, 20, 46
_ENCRYPTED = 0x1

Refuse = Callable[[str], NoReturn]


def refuser(name: str) -> Refuse:
    def refuse(what: str) -> NoReturn:
        raise WheelInvalid(f"{name} {what}.", hint="Do not use this wheel; report it to its index.")

    return refuse


def refuse_crowded(path: Path) -> None:
    """Count an archive's entries in its own table: reading it, `zipfile` makes an object of each.

    What is no archive, or says something else at two places, is left to `zipfile` to complain about.
    """
    refuse = refuser(path.name)
    with path.open("rb") as file:
        size = path.stat().st_size
        # A comment of 65,535 bytes may follow the end record, and before it stand those of ZIP64.
        start = max(0, size - 65_535 - _END_BYTES - _LOCATOR_BYTES - _END_64_BYTES)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(_END)
        if at < 0 or at + _END_BYTES > len(tail):
            return
        directory = int(struct.unpack_from("<L", tail, at + 12)[0])
        before = at
        if tail[max(0, at - _LOCATOR_BYTES) : at].startswith(_LOCATOR_64):
            before = at - _LOCATOR_BYTES - _END_64_BYTES
            if before < 0 or not tail.startswith(_END_64, before):
                return
            directory = int(struct.unpack_from("<Q", tail, before + 40)[0])
        if directory > MAX_DIRECTORY_BYTES:
            refuse(f"has a table of contents of {directory:,} bytes")
        file.seek(max(0, start + before - directory))
        if entries_in(file.read(directory)) > MAX_ENTRIES:
            refuse(f"holds more than {MAX_ENTRIES:,} files")


def entries_in(directory: bytes) -> int:
    """The entries of a central directory, counted up to one more than is taken."""
    count, at = 0, 0
    while directory.startswith(_ENTRY, at) and count <= MAX_ENTRIES:
        if at + _ENTRY_BYTES > len(directory):
            break
        at += _ENTRY_BYTES + sum(struct.unpack_from("<HHH", directory, at + 28))
        count += 1
    return count


def refuse_dangerous(path: Path, archive: zipfile.ZipFile) -> None:
    """Look at the archive's table before a byte is unpacked; declared sizes are enforced by zipfile."""
    refuse = refuser(path.name)
    members = archive.infolist()
    if len(members) > MAX_ENTRIES:
        refuse(f"holds more than {MAX_ENTRIES:,} files")
    seen: dict[str, tuple[int, int, bool]] = {}
    for member in members:
        refuse_member(member, refuse)
        plain = member.filename.removesuffix("/")
        # Some tools wrote a file twice. Which of two contents counts is not the same for every reader.
        content = member.CRC, member.file_size, member.is_dir()
        if seen.setdefault(plain, content) != content:
            refuse(f"holds {plain!r} twice, with other content")
    refuse_bomb(members, path.stat().st_size, refuse)


def refuse_path(path: str, refuse: Refuse) -> None:
    """Refuse a path that leads out of its folder, or that no file system or image takes."""
    parts = path.removesuffix("/").split("/")
    if path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
        refuse(f"holds a file that points outside, {path[:MAX_PATH]!r}")
    if not path.isprintable():
        refuse(f"holds a file with an unprintable name, {path[:MAX_PATH]!r}")
    if len(path.encode("utf-8", "replace")) > MAX_PATH or len(parts) > MAX_DEPTH:
        refuse(f"holds a file with too long a path, {path[:100]!r}…")
    if any(len(part.encode("utf-8", "replace")) > MAX_COMPONENT for part in parts):
        refuse(f"holds a file with too long a name, {path[:100]!r}…")
    if WHITEOUT in path.lower() or not path.isascii():
        refuse_whiteout(path, parts, refuse)


def refuse_member(member: zipfile.ZipInfo, refuse: Refuse) -> None:
    path = member.filename
    refuse_path(path, refuse)
    if (member.external_attr >> 16) & 0o170000 not in (0, 0o100000, 0o040000):
        refuse(f"holds {path!r}, which is neither a file nor a folder")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        refuse(f"holds {path!r}, compressed in a way that no wheel is")
    if member.flag_bits & _ENCRYPTED:
        refuse(f"holds {path!r}, which is encrypted")
    folder, _, name = path.partition("/")
    if folder.lower().endswith(".dist-info"):
        limit = MAX_RECORD if name == "RECORD" else MAX_METADATA
        if name in ("RECORD", "METADATA", "WHEEL", "entry_points.txt") and member.file_size > limit:
            refuse(f"has a {name} of {member.file_size:,} bytes")


def refuse_whiteout(path: str, parts: list[str], refuse: Refuse) -> None:
    """Raise `WheelInvalid` for a whiteout: in a layer it deletes the file that it names from layers below."""
    if any(same_letters(part).startswith(WHITEOUT) for part in parts):
        refuse(f"holds {path!r}, whose name would delete files of other libraries in an image")


def same_letters(text: str) -> str:
    """The text in the form by which names are compared that only differ in case or in how Unicode writes
    them."""
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def refuse_bomb(members: list[zipfile.ZipInfo], archive_bytes: int, refuse: Refuse) -> None:
    unpacked, end = 0, 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            refuse(f"holds {member.filename!r} within another file")
        end = member.header_offset + 30 + member.compress_size
        unpacked += member.file_size
        if unpacked > MAX_UNPACKED or (
            unpacked > RATIO_COUNTS_FROM and unpacked > MAX_RATIO * archive_bytes
        ):
            refuse(f"unpacks to far more than it should, at {member.filename!r}")
    if end > archive_bytes:
        refuse("holds files that reach beyond its end")
