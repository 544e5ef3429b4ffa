"""Bytecode of a library's former version, for sources that have not changed since.

A file for each library, index and Python. An entry's key is a hash of all that decides its bytes: the
source, the path that the code object names, the build of Python and the text of our compiler. So what is
found is what compiling would give. An entry is held against its own hash when it is read; a file that is
damaged, cut off or of another format is as good as none. Only our compiler's answers get in, and only for
releases of the same library from the same index (docs/decisions/0025-cold-layers.md).
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Protocol

from isal import isal_zlib

from images.building.layers import bytecode
from images.building.layers.compilers import Compiled, Session

MAGIC = b"ri-bytecode 1\n"
LEVEL = 1
# Of an entry: its key, the hash of its packed bytes, where these begin, and their number.
_ENTRY = struct.Struct(">32s32sQI")
_COUNT = struct.Struct(">I")
_END = struct.Struct(">Q")
MAX_ENTRIES = 120_000
# Larger than the bytecode of any source that is compiled.
MAX_BYTECODE = 64 << 20
# For an interpreter to tell its version.
ANSWER_SECONDS = 60.0


@lru_cache(maxsize=8)
def identity_of(interpreter: str) -> bytes:
    """What decides, beside a source and its path, the bytes that come of it: Python and our own compiler."""
    build = sys.version
    if interpreter != sys.executable:
        command = [interpreter, "-s", "-S", "-B", "-c", "import sys; print(sys.version)"]
        build = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ANSWER_SECONDS
        ).stdout
    text = Path(bytecode.__file__).read_bytes()
    return hashlib.sha256(build.strip().encode() + b"\0" + text).digest()


class Compiling(Protocol):
    """What a wheel's sources are compiled by."""

    def submit(self, source: bytes, path: str, sha256: bytes) -> Compiled: ...

    def result(self, asked: Compiled) -> bytes | None: ...


class Known(Compiled):
    """What need not be compiled, as it is packed."""

    def __init__(self, packed: bytes) -> None:
        super().__init__()
        self.packed = packed
        self.done = True


class Remembered:
    """The entries of one file."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file
        self._entries: dict[bytes, tuple[bytes, int, int]] = {}
        if file is not None:
            with suppress(ValueError, struct.error, OSError):
                self._entries = dict(read_index(file))

    def find(self, key: bytes) -> bytes | None:
        """The packed bytecode, if it is there and whole."""
        if key not in self._entries:
            return None
        sha256, start, size = self._entries[key]
        assert self._file is not None
        self._file.seek(start)
        packed = self._file.read(size)
        return packed if hashlib.sha256(packed).digest() == sha256 else None


def read_index(file: IO[bytes]) -> Iterator[tuple[bytes, tuple[bytes, int, int]]]:
    """The table at the end of a file; its last bytes say where it begins. Raises `ValueError`."""
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("not of this format")
    end = file.seek(-_END.size, 2)
    file.seek(_END.unpack(file.read(_END.size))[0])
    count = _COUNT.unpack(file.read(_COUNT.size))[0]
    if count > MAX_ENTRIES:
        raise ValueError("too many entries")
    for _ in range(count):
        key, sha256, start, size = _ENTRY.unpack(file.read(_ENTRY.size))
        if start + size <= end and size <= MAX_BYTECODE:
            yield key, (sha256, start, size)


class Learning:
    """Compiles what `remembered` does not have, and writes down all that was asked for to `learned`."""

    def __init__(
        self, session: Session, compiler: bytes, remembered: Remembered, learned: IO[bytes]
    ) -> None:
        self._session, self._compiler = session, compiler
        self._remembered, self._learned = remembered, learned
        self._keys: dict[Compiled, bytes] = {}
        self._table: list[bytes] = []
        self.is_new = False
        learned.write(MAGIC)

    def submit(self, source: bytes, path: str, sha256: bytes) -> Compiled:
        name = path.encode("utf-8")
        key = hashlib.sha256(sha256 + self._compiler + name).digest()
        packed = self._remembered.find(key)
        asked = self._session.submit(source, path) if packed is None else Known(packed)
        self._keys[asked] = key
        return asked

    def result(self, asked: Compiled) -> bytes | None:
        key = self._keys.pop(asked)
        if isinstance(asked, Known):
            packed = asked.packed
            found: bytes | None = isal_zlib.decompress(packed)
        else:
            self.is_new = True
            found = self._session.result(asked)
            packed = isal_zlib.compress(found, LEVEL) if found else b""
        if packed:
            row = (key, hashlib.sha256(packed).digest(), self._learned.tell(), len(packed))
            self._table.append(_ENTRY.pack(*row))
            self._learned.write(packed)
        return found

    def finish(self) -> None:
        start = self._learned.tell()
        self._learned.write(_COUNT.pack(len(self._table)) + b"".join(self._table))
        self._learned.write(_END.pack(start))


class Plain:
    """Compiles everything."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def submit(self, source: bytes, path: str, sha256: bytes) -> Compiled:
        return self._session.submit(source, path)

    def result(self, asked: Compiled) -> bytes | None:
        return self._session.result(asked)


@contextmanager
def compiling(
    session: Session, compiler: bytes, known: Path | None, learned: Path | None
) -> Iterator[Compiling]:
    """What compiles by way of what is known at `known`; what was new is then at `learned`, a whole file.

    `compiler` identifies what compiles. Without `learned` nothing is looked up or written.
    """
    if learned is None:
        yield Plain(session)
        return
    with _opened(known) as former, learned.open("wb") as file:
        learning = Learning(session, compiler, Remembered(former), file)
        yield learning
        learning.finish()
    if not learning.is_new:
        learned.unlink()


@contextmanager
def _opened(known: Path | None) -> Iterator[IO[bytes] | None]:
    try:
        file = known.open("rb") if known else None
    except OSError:
        file = None
    if file is None:
        yield None
        return
    with file:
        yield file
