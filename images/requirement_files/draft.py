"""The mutable result that the readers of the formats fill while a set of files is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from images.requirement_files.target import Target
from images.requirement_files.values import (
    LeftOut,
    Lock,
    ReadRequirement,
    Refused,
    Rules,
    SuppliedFile,
)

# Of a line that is told again.
MAX_TEXT = 200
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


@dataclass(frozen=True)
class Place:
    """A line of a file. Line 0 means the file as a whole."""

    file: str
    line: int


@dataclass
class Draft:
    """A `Reading` in the making."""

    target: Target
    rules: Rules
    files: dict[str, SuppliedFile]
    requirements: list[ReadRequirement] = field(default_factory=list)
    constraints: list[ReadRequirement] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    python_versions: dict[str, Place] = field(default_factory=dict)
    locks: list[Lock] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    # The index that `--index-url` names: everything without an index of its own comes from it.
    only_index: str = ""
    prereleases: bool = False
    # The first `--require-hashes`.
    require_hashes: Place | None = None
    # Files that another one brings in, or that are read: a name, and whether as constraints.
    included: set[tuple[str, bool]] = field(default_factory=set)

    def leave_out(self, place: Place, text: str, reason: str) -> None:
        self.left_out.append(LeftOut(place.file, place.line, printable_line(text), reason))

    def refuse(self, place: Place, text: str, message: str) -> None:
        self.refused.append(Refused(place.file, place.line, printable_line(text), message))

    def hint(self, sentence: str) -> None:
        if sentence not in self.hints:
            self.hints.append(sentence)

    def offer(self, *, groups: object = (), extras: object = ()) -> None:
        """Add names to what one may choose among."""
        for offered, names in ((self.groups, groups), (self.extras, extras)):
            assert isinstance(names, list | tuple | dict)
            offered.extend(str(name) for name in names if str(name) not in offered)


def printable_line(text: str) -> str:
    """A line as it may be told and kept: one line, of bounded length, without credentials."""
    visible = "".join(
        letter if letter.isprintable() else f"\\u{ord(letter):04x}"
        for letter in text[: MAX_TEXT * 2]
    )
    return _CREDENTIALS.sub("***@", visible)[:MAX_TEXT]
