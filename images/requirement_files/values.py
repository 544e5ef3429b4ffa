"""Input and output of the reader: supplied files, requirements, refused lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from images.requirements import MAX_TOLD, PipRequirement


@dataclass(frozen=True)
class SuppliedFile:
    """A file as its owner has it: its name, with folders if there are any, and its text."""

    name: str
    text: str


@dataclass(frozen=True)
class Supplied:
    """Files as they were given together, with the groups and extras that were chosen of them."""

    files: tuple[SuppliedFile, ...]
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @classmethod
    def of_json(cls, item: Mapping[str, Any]) -> Supplied:
        files = tuple(SuppliedFile(file["name"], file["text"]) for file in item["files"])
        return cls(files, tuple(item["groups"]), tuple(item["extras"]))

    def as_json(self) -> dict[str, Any]:
        return {
            "files": [{"name": file.name, "text": file.text} for file in self.files],
            "groups": list(self.groups),
            "extras": list(self.extras),
        }

    @property
    def names(self) -> list[str]:
        return [file.name for file in self.files]


@dataclass(frozen=True)
class ReadRequirement:
    """A library that a file asks for, and the line that asks."""

    name: str
    file: str
    line: int
    specifier: str = ""
    extras: tuple[str, ...] = ()
    # The name of the index that it has to come from; `""` leaves that to the operator's rules.
    index: str = ""
    # As pip writes them: `sha256:…`. Of all files that may be installed.
    hashes: tuple[str, ...] = ()
    # A wheel's address, where the operator allows it.
    url: str = ""

    def __str__(self) -> str:
        return str(self.as_pip_requirement())

    @property
    def normalized_name(self) -> str:
        """PEP 503's form, by which names are compared."""
        return canonicalize_name(self.name)

    def as_pip_requirement(self) -> PipRequirement:
        return PipRequirement(self.name, self.specifier, self.extras, self.index, self.hashes)


@dataclass(frozen=True)
class LeftOut:
    """A line that is understood and not needed, as another line or the platform covers it."""

    file: str
    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Refused:
    """A line that cannot be taken; the message says what to do. Line 0 means the file as a whole."""

    file: str
    line: int
    text: str
    message: str

    def __str__(self) -> str:
        if not self.line:
            return f"{self.file}: {self.message}" if self.file else self.message
        return f"{self.file}, line {self.line}: {self.message}"


@dataclass(frozen=True)
class LockedFile:
    """A wheel or source distribution that a lock allows; `sha256` is 64 hex digits."""

    sha256: str
    # Some locks (Pipfile.lock, hashed requirements) know the hash alone.
    name: str = ""
    url: str = ""


@dataclass(frozen=True)
class LockedPackage:
    """One version of a library in a lock, with every file that may stand for it."""

    name: str
    version: str
    line: int
    files: tuple[LockedFile, ...] = ()
    # The index's address as the lock names it; `""` where it names none.
    index_url: str = ""


@dataclass(frozen=True)
class Lock:
    """A complete lock: what is installed for this Python, machine, groups and extras, and nothing else."""

    file: str
    packages: tuple[LockedPackage, ...]


@dataclass(frozen=True)
class Reading:
    """What became of each line of the files."""

    requirements: tuple[ReadRequirement, ...] = ()
    # They bound versions of libraries that something else brings, as pip's `-c` does.
    constraints: tuple[ReadRequirement, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    refused: tuple[Refused, ...] = ()
    hints: tuple[str, ...] = ()
    # The one version that the files name, as `3.11`; None if they leave it open.
    python_version: str | None = None
    lock: Lock | None = None
    # What one may choose among, in the files' order.
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    # Names of configured indexes that options of the files name.
    indexes: tuple[str, ...] = ()
    # The option `--pre`.
    prereleases: bool = False

    @property
    def locked(self) -> str | None:
        return self.lock.file if self.lock else None

    @property
    def sentences(self) -> list[str]:
        """What is refused: the first ten, and how many more there are."""
        told = [str(problem) for problem in self.refused[:MAX_TOLD]]
        if len(self.refused) > MAX_TOLD:
            told.append(f"And {len(self.refused) - MAX_TOLD} more.")
        return told


@dataclass(frozen=True)
class Rules:
    """What the operator and the user chose, by which files are read."""

    # Name to address.
    indexes: Mapping[str, str] = field(default_factory=dict)
    # Prefixes of addresses from which a wheel may be taken by its URL.
    allowed_urls: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    extras: frozenset[str] = frozenset()
