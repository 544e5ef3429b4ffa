"""RECORD of a wheel, which installers compare and do not go by: pip installs what the archive holds.

What is trusted is the wheel's own sha256, which covers every file. Wheels that are in wide use have a RECORD
that leaves files out or tells other hashes; the build's log says so. Source: recording installed projects
(PEP 376, packaging.python.org), pip's `operations/install/wheel.py`.
"""

from __future__ import annotations

import csv
import hashlib
import io
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

# Signatures, which RECORD cannot name (PEP 427).
SIGNATURES = (".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")
# Hashes of one length, that RECORD may be written with; others are not compared.
ALGORITHMS = frozenset(name for name in hashlib.algorithms_guaranteed if "shake" not in name)


@dataclass(frozen=True)
class Row:
    """A row of RECORD as it stands there: the name of a hash, its value in URL-safe base64, and a size."""

    algorithm: str
    value: str
    size: str


class Comparison:
    """The content of one file, hashed as it is read, to be compared with its row."""

    def __init__(self, row: Row | None) -> None:
        self.sha256, self.size = hashlib.sha256(), 0
        self._row = row
        other = row is not None and row.algorithm in ALGORITHMS - {"sha256"}
        self._other = hashlib.new(row.algorithm, usedforsecurity=False) if row and other else None

    def update(self, piece: bytes) -> None:
        self.sha256.update(piece)
        self.size += len(piece)
        if self._other is not None:
            self._other.update(piece)

    def passing(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces of the content, each hashed on its way."""
        for piece in pieces:
            self.update(piece)
            yield piece

    def differs(self) -> bool:
        """Whether the row tells another hash or another size."""
        if self._row is None:
            return False
        if self._row.size and self._row.size != str(self.size):
            return True
        hashed = self._other if self._row.algorithm != "sha256" else self.sha256
        return hashed is not None and self._row.value.rstrip("=") != record_hash(hashed)


@dataclass
class Record:
    """The rows by path, and what is odd about them: paths by the words for it."""

    rows: dict[str, Row] = field(default_factory=dict)
    odd: dict[str, list[str]] = field(default_factory=dict)
    unreadable: str = ""

    @classmethod
    def read(cls, data: bytes) -> Record:
        """Read as much as there is to be read; a byte order mark and backslashes are taken."""
        record = cls()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            record.unreadable = "is not in UTF-8"
            text = data.decode("utf-8", "replace")
        try:
            for cells in csv.reader(io.StringIO(text, newline="")):
                path, told, size, *_ = [*cells, "", "", ""]
                algorithm, _, value = told.strip().partition("=")
                if path:
                    row = Row(algorithm.lower(), value, size.strip())
                    record.rows[path.replace("\\", "/")] = row
        except csv.Error as error:
            record.unreadable = f"cannot be read ({error})"
        return record

    def compare(self, path: str, compared: Comparison) -> None:
        """Take note of what is odd about the row of a file of the archive."""
        row = self.rows.get(path)
        if row is None:
            if not path.endswith(SIGNATURES):
                self.add("leaves out", path)
        elif not row.value or not row.size:
            self.add("tells no hash or size of", path)
        elif compared.differs():
            self.add("tells another hash or size of", path)

    def add(self, words: str, path: str) -> None:
        self.odd.setdefault(words, []).append(path)

    def sentences(self, wheel: str, members: Sequence[str]) -> list[str]:
        """What the build's log is to say, one sentence for each kind; `members` are the archive's files."""
        there = set(members)
        absent = [path for path in self.rows if path not in there]
        odd = {**self.odd, **({"names, but the wheel does not hold,": absent} if absent else {})}
        said = [f"{words} {shorten_paths(paths)}" for words, paths in odd.items()]
        if self.unreadable:
            said.insert(0, self.unreadable)
        return [
            f"{wheel}: its RECORD {words}. It is installed as pip does: the wheel's own sha256 counts."
            for words in said
        ]


def shorten_paths(paths: Sequence[str]) -> str:
    first = paths[0] if paths[0].isprintable() else ascii(paths[0])
    more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
    return f"{first[:200]}{more}"


def record_hash(hashed: Any) -> str:
    """RECORD's form of a hash: URL-safe base64 without padding."""
    return urlsafe_b64encode(hashed.digest()).rstrip(b"=").decode("ascii")
