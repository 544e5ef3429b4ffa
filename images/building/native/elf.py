"""One ELF file: the libraries that it needs, and their versions of symbols, as the dynamic loader reads them.

Sources: the System V ABI, chapters 4 and 5 (headers, dynamic section); the Linux Standard Base, chapter 10
(symbol versions); elf(5). Everything is found by way of program headers, as the loader does, since sections
may be stripped. Files are of strangers: each read and each count has a limit, and what is malformed is told
apart by None. pyelftools is used by the tests to compare with; it reads section headers first, in loops that
the file itself bounds, and raises whatever its parts raise.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

MAGIC = b"\x7fELF"
# Little-endian 64-bit files for x86-64 (elf(5): ELFCLASS64, ELFDATA2LSB, EM_X86_64); of type EXEC or DYN.
CLASS_AND_DATA, MACHINE = b"\x02\x01", 62
EXECUTABLE, SHARED = 2, 3
LOAD, DYNAMIC = 1, 2
NULL, NEEDED, STRTAB, SONAME = 0, 1, 5, 14
VERDEF, VERDEFNUM, VERNEED, VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
BASE_DEFINITION, WEAK = 0x1, 0x2

MAX_SEGMENTS = 256
MAX_DYNAMIC = 4_096
MAX_NEEDED = 1_024
# libstdc++ defines some sixty versions, glibc forty; Qt and ICU a few each.
MAX_VERSIONS = 4_096
MAX_NAME = 255

# What follows e_ident, whose 16 bytes begin with the magic number, class and encoding.
IDENT = 16
_HEADER = struct.Struct("<HHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<QQ")
_VERNEED = struct.Struct("<HHIII")
_VERNAUX = struct.Struct("<IHHII")
_VERDEF = struct.Struct("<HHHHIII")
_VERDAUX = struct.Struct("<II")
# Names of libraries and versions. They reach the database, logs and pages.
_NAME = re.compile(rb"[A-Za-z0-9_./+@:,~$-]{1,255}")


class _Malformed(Exception):
    pass


@dataclass(frozen=True)
class ElfFile:
    """Dynamic dependencies of a file: DT_NEEDED in order, symbol versions that it needs by library, and those
    that it defines.

    `soname` is empty where the file has none.
    """

    soname: str
    needed: tuple[str, ...]
    versions_needed: tuple[tuple[str, tuple[str, ...]], ...]
    versions_defined: tuple[str, ...]


def read_elf(file: IO[bytes], size: int) -> ElfFile | None:
    """Read a seekable file of `size` bytes.

    None for what the loader of x86-64 Linux would not load: no ELF, another machine's, no dynamic section,
    or malformed.
    """
    try:
        return _Reader(file, size).read()
    except (_Malformed, struct.error, OverflowError, ValueError):
        return None


class _Reader:
    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._loads: list[tuple[int, int, int]] = []
        self._strings = 0

    def read(self) -> ElfFile | None:
        if not self._bytes(0, IDENT, at_least=IDENT).startswith(MAGIC + CLASS_AND_DATA):
            return None
        kind, machine, _, _, table, *_, entry_size, segments, _, _, _ = self._unpack(_HEADER, IDENT)
        if machine != MACHINE:
            return None
        if kind not in (EXECUTABLE, SHARED) or entry_size != _SEGMENT.size:
            return None
        if segments > MAX_SEGMENTS:
            raise _Malformed
        dynamic = self._segments(table, segments)
        if dynamic is None:
            return None
        needed, values = self._dynamic(*dynamic)
        self._strings = self._offset(values[STRTAB])
        return ElfFile(
            soname=self._name(values[SONAME]) if SONAME in values else "",
            needed=tuple(dict.fromkeys(self._name(at) for at in needed)),
            versions_needed=tuple(self._versions_needed(values)),
            versions_defined=tuple(dict.fromkeys(self._versions_defined(values))),
        )

    def _segments(self, offset: int, count: int) -> tuple[int, int] | None:
        """Note where the file is loaded to; offset and size of its dynamic section, if it has one."""
        dynamic = None
        for number in range(count):
            kind, _, start, address, _, in_file, _, _ = self._unpack(
                _SEGMENT, offset + number * _SEGMENT.size
            )
            if kind == LOAD:
                self._loads.append((address, in_file, start))
            elif kind == DYNAMIC:
                dynamic = start, in_file
        return dynamic

    def _dynamic(self, offset: int, size: int) -> tuple[list[int], dict[int, int]]:
        """The names in DT_NEEDED, as offsets, and one value of each other tag."""
        needed: list[int] = []
        values: dict[int, int] = {}
        for number in range(min(size // _ENTRY.size, MAX_DYNAMIC)):
            tag, value = self._unpack(_ENTRY, offset + number * _ENTRY.size)
            if tag == NULL:
                break
            if tag == NEEDED:
                needed.append(value)
            else:
                values[tag] = value
        if STRTAB not in values or len(needed) > MAX_NEEDED:
            raise _Malformed
        return needed, values

    def _versions_needed(self, values: dict[int, int]) -> Iterator[tuple[str, tuple[str, ...]]]:
        left = MAX_VERSIONS
        for at, (_, count, name, first, _) in self._chain(values, VERNEED, VERNEEDNUM, _VERNEED):
            found = []
            where = at + first
            for _ in range(min(count, left)):
                _, flags, _, version, following = self._unpack(_VERNAUX, where)
                if not flags & WEAK:
                    found.append(self._name(version))
                if following == 0:
                    break
                where += following
            left -= len(found)
            yield self._name(name), tuple(found)

    def _versions_defined(self, values: dict[int, int]) -> Iterator[str]:
        for at, entry in self._chain(values, VERDEF, VERDEFNUM, _VERDEF):
            if not entry[1] & BASE_DEFINITION:
                name, _ = self._unpack(_VERDAUX, at + entry[5])
                yield self._name(name)

    def _chain(
        self, values: dict[int, int], start: int, number: int, entry: struct.Struct
    ) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The entries of a table of versions with their offsets; each tells how far the next one is."""
        if start not in values:
            return
        at = self._offset(values[start])
        for _ in range(min(values.get(number, 0), MAX_VERSIONS)):
            found = self._unpack(entry, at)
            yield at, found
            if found[-1] == 0:
                return
            at += found[-1]

    def _offset(self, address: int) -> int:
        """The place in the file of an address in memory."""
        for start, size, offset in self._loads:
            if start <= address < start + size:
                return offset + address - start
        raise _Malformed

    def _name(self, offset: int) -> str:
        end = self._bytes(self._strings + offset, MAX_NAME + 1, at_least=1)
        found = _NAME.fullmatch(end.partition(b"\0")[0])
        if found is None:
            raise _Malformed
        return found.group().decode("ascii")

    def _unpack(self, form: struct.Struct, offset: int) -> tuple[int, ...]:
        return form.unpack(self._bytes(offset, form.size, at_least=form.size))

    def _bytes(self, offset: int, size: int, *, at_least: int) -> bytes:
        if not 0 <= offset < self._size:
            raise _Malformed
        self._file.seek(offset)
        found = self._file.read(size)
        if len(found) < at_least:
            raise _Malformed
        return found
