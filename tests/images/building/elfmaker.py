"""ELF files made by the tests themselves: a header, two segments, a dynamic section and its tables."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

HEADER, SEGMENT = 64, 56


def make_elf(
    *,
    soname: str = "",
    needed: Sequence[str] = (),
    versions_needed: Mapping[str, Sequence[str]] | None = None,
    versions_defined: Sequence[str] = (),
    machine: int = 62,
) -> bytes:
    """A shared library for x86-64 that holds nothing but its dependencies; it has no sections."""
    names = Names()
    needs = verneed(versions_needed or {}, names)
    definitions = verdef(versions_defined, names)
    tags = [(1, names.add(name)) for name in needed]
    if soname:
        tags.append((14, names.add(soname)))
    dynamic_at = HEADER + 2 * SEGMENT
    strings_at = dynamic_at + 16 * (len(tags) + 7)
    needs_at = strings_at + len(names.data)
    definitions_at = needs_at + len(needs)
    tags += [(5, strings_at), (10, len(names.data))]
    if needs:
        tags += [(0x6FFFFFFE, needs_at), (0x6FFFFFFF, len(versions_needed or {}))]
    if definitions:
        tags += [(0x6FFFFFFC, definitions_at), (0x6FFFFFFD, len(versions_defined))]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags).ljust(
        strings_at - dynamic_at, b"\0"
    )
    size = definitions_at + len(definitions)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, machine, 1, 0, HEADER, 0, 0, HEADER, SEGMENT, 2, 0, 0, 0
    )
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 0x1000) + struct.pack(
        "<IIQQQQQQ", 2, 6, dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 8
    )
    return header + segments + dynamic + bytes(names.data) + needs + definitions


class Names:
    def __init__(self) -> None:
        self.data = bytearray(b"\0")

    def add(self, name: str) -> int:
        at = len(self.data)
        self.data += name.encode() + b"\0"
        return at


def verneed(wanted: Mapping[str, Sequence[str]], names: Names) -> bytes:
    found = b""
    for number, (library, versions) in enumerate(wanted.items(), 1):
        following = 16 * (1 + len(versions)) if number < len(wanted) else 0
        found += struct.pack("<HHIII", 1, len(versions), names.add(library), 16, following)
        for place, version in enumerate(versions, 1):
            more = 16 if place < len(versions) else 0
            found += struct.pack("<IHHII", 0, 0, place + 1, names.add(version), more)
    return found


def verdef(versions: Sequence[str], names: Names) -> bytes:
    found = b""
    for place, version in enumerate(versions, 1):
        following = 28 if place < len(versions) else 0
        found += struct.pack("<HHHHIII", 1, 0, place + 1, 1, 0, 20, following)
        found += struct.pack("<II", names.add(version), 0)
    return found
