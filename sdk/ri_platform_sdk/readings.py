"""The server's reading of requirement files: the result for each line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReadRequirement:
    """A library that a file asks for. `index` is the name of the index it has to come from, if any."""

    name: str
    specifier: str
    extras: tuple[str, ...]
    index: str
    file: str
    line: int

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}{self.specifier}"


@dataclass(frozen=True)
class FileLine:
    """A line that was left out or refused, and why. Line 0 means the whole file."""

    file: str
    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """The requirements of files.

    `constraints` bound libraries that others bring. Of `refused` the first ten are told, and `refused_more`
    is how many more there are. `locked` is the file that is a complete lock, `python_version` the one Python
    that the files name, each empty if there is none. `groups` and `extras` are those that one may choose.
    `indexes` and `allow_prereleases` are what options of the files say about all libraries.
    """

    requirements: tuple[ReadRequirement, ...]
    constraints: tuple[ReadRequirement, ...]
    left_out: tuple[FileLine, ...]
    refused: tuple[FileLine, ...]
    refused_more: int
    hints: tuple[str, ...]
    python_version: str
    locked: str
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    indexes: tuple[str, ...] = ()
    allow_prereleases: bool = False


def reading_of(body: dict[str, Any]) -> Reading:
    return Reading(
        requirements=tuple(map(requirement_of, body["requirements"])),
        constraints=tuple(map(requirement_of, body["constraints"])),
        left_out=tuple(line_of(item, item["reason"]) for item in body["leftOut"]),
        refused=tuple(line_of(item, item["message"]) for item in body["refused"]),
        refused_more=body["refusedMore"],
        hints=tuple(body["hints"]),
        python_version=body["pythonVersion"],
        locked=body["locked"],
        groups=tuple(body["groups"]),
        extras=tuple(body["extras"]),
        indexes=tuple(body.get("indexes", ())),
        allow_prereleases=body.get("allowPrereleases", False),
    )


def requirement_of(item: dict[str, Any]) -> ReadRequirement:
    return ReadRequirement(
        name=item["name"],
        specifier=item["specifier"],
        extras=tuple(item["extras"]),
        index=item["index"],
        file=item["file"],
        line=item["line"],
    )


def line_of(item: dict[str, Any], reason: str) -> FileLine:
    return FileLine(item["file"], item["line"], item["text"], reason)
