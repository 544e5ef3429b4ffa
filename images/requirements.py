"""Requirements as users write them, parsed once at the edge into values that are safe everywhere.

A library is what PEP 508 calls a name with extras and a version specifier: what goes into an image is decided
by the lock, and the lock by these values alone. Files and pasted texts are read by images/requirement_files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ri_platform.errors import Invalid

MAX_LINE = 500
MAX_REQUIREMENTS = 500
# Of one library; those with the most files have some 200.
MAX_HASHES = 1_000
MAX_INDEX = 100
# Lines that are read of a text, and problems that are told.
MAX_LINES = 5_000
MAX_TOLD = 10
# Of all the lines together.
MAX_REQUIREMENTS_TEXT = 100_000
T = TypeVar("T")

# PEP 508's names and extras, ASCII only: `\w` would let other scripts in.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_OS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}")
_OS_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~-]{0,127}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_PINNED = re.compile(r"==[^,*=]+")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True)
class PipRequirement:
    """A library by name, with extras and a PEP 440 specifier; `""` means any version.

    `index` is the name of the index that it has to come from; `""` leaves that to the operator's rules. Of
    `hashes`, as pip writes them (`sha256:…`), the installed file has one; without any, they do not matter.
    """

    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    index: str = ""
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}{self.specifier}"

    @property
    def line(self) -> str:
        """As it stands in a requirements.txt, with its hashes."""
        return " ".join([str(self), *(f"--hash={text}" for text in self.hashes)])

    @classmethod
    def of_json(cls, item: Mapping[str, Any]) -> PipRequirement:
        """The value that `as_json` stored. Older rows know neither index nor hashes."""
        return cls(
            item["name"],
            item["specifier"],
            tuple(item["extras"]),
            item.get("index", ""),
            tuple(item.get("hashes", ())),
        )

    def as_json(self) -> dict[str, Any]:
        """As columns have it; what is empty of the newer fields is left out, as in older rows."""
        newer = {"index": self.index, "hashes": list(self.hashes)}
        return {
            "name": self.name,
            "specifier": self.specifier,
            "extras": list(self.extras),
            **{name: value for name, value in newer.items() if value},
        }

    @property
    def normalized_name(self) -> str:
        """PEP 503's form, by which names are compared."""
        return canonicalize_name(self.name)

    @property
    def is_locked(self) -> bool:
        """One version, and hashes of its files."""
        return bool(self.hashes) and _PINNED.fullmatch(self.specifier) is not None


@dataclass(frozen=True)
class OSPackage:
    """A package of the base image's operating system; `""` means whichever version it offers."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.version}" if self.version else self.name

    @classmethod
    def of_json(cls, item: Mapping[str, Any]) -> OSPackage:
        return cls(item["name"], item["version"])

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version}


@dataclass(frozen=True)
class LineProblem:
    """A problem of one line of a text, or of one item of a list. Line 0 means a file as a whole."""

    line_number: int
    text: str
    message: str
    unit: str = "Line"
    # The file, where several are read.
    file: str = ""

    def __str__(self) -> str:
        place = f"{self.unit} {self.line_number}" if self.line_number else ""
        if self.file:
            place = f"{self.file}, {place.lower()}" if place else self.file
        return f"{place}: {self.message}" if place else self.message


class RequirementErrors(Invalid):
    """One or more lines cannot be taken. The first ten are told, and how many more there are."""

    code = "invalid_requirements"

    def __init__(self, problems: Sequence[LineProblem], *, field: str) -> None:
        self.problems = list(problems)
        self.sentences = [str(problem) for problem in self.problems[:MAX_TOLD]]
        if len(self.problems) > MAX_TOLD:
            self.sentences.append(f"And {len(self.problems) - MAX_TOLD} more.")
        super().__init__(" ".join(self.sentences), field=field)


def parse_os_packages(text: str) -> list[OSPackage]:
    """One `name` or `name=version` a line. Raises `RequirementErrors`."""

    def of_line(line: str) -> OSPackage:
        name, separator, version = line.partition("=")
        if separator and not version:
            raise ValueError(f"{line!r} names no version after the equals sign.")
        return os_package(name.strip(), version.strip())

    return parse_lines(text, of_line, lambda wanted: wanted.name, field="os_packages")


def parse_lines(
    text: str, parse: Callable[[str], T], key: Callable[[T], Hashable], *, field: str
) -> list[T]:
    parsed: list[T] = []
    problems: list[LineProblem] = []
    first_seen: dict[Hashable, int] = {}
    # Only \n and \r\n end a line; str.splitlines would also split at characters nobody sees.
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES:
        message = f"A list takes at most {MAX_LINES} lines, and this one has {len(lines)}."
        raise RequirementErrors([LineProblem(MAX_LINES + 1, "", message)], field=field)
    for number, raw in enumerate(lines, start=1):
        line = _COMMENT.sub("", raw).strip(" \t")
        if not line:
            continue
        try:
            refuse_unprintable(line)
            wanted = parse(line)
            if key(wanted) in first_seen:
                raise ValueError(
                    f"{key(wanted)} stands on line {first_seen[key(wanted)]} already; "
                    "keep one of the two."
                )
        except ValueError as error:
            problems.append(LineProblem(number, line[:MAX_LINE], str(error)))
            continue
        first_seen[key(wanted)] = number
        parsed.append(wanted)
    if len(parsed) > MAX_REQUIREMENTS:
        problems.append(
            LineProblem(
                MAX_REQUIREMENTS + 1, "", f"An image takes at most {MAX_REQUIREMENTS} of these."
            )
        )
    if problems:
        raise RequirementErrors(problems, field=field)
    return parsed


def refuse_unprintable(line: str) -> None:
    if len(line) > MAX_LINE:
        raise ValueError(f"The line is longer than {MAX_LINE} characters.")
    for character in line:
        if not (character == "\t" or (character.isprintable() and character.isascii())):
            raise ValueError(f"It contains the character {character!a}, which no name has.")


@dataclass(frozen=True)
class NamedItem:
    """A requirement or package as the API takes it; a bare version means `==`."""

    name: str
    version: str = ""
    index: str = ""
    hashes: tuple[str, ...] = ()


def pip_requirements(items: Iterable[NamedItem]) -> tuple[PipRequirement, ...]:
    """Requirements as the API takes them. Raises `RequirementErrors` naming every offending item."""

    def parse(item: NamedItem) -> PipRequirement:
        for text in item.hashes:
            if not _HASH.fullmatch(text):
                raise ValueError(f"{text[:80]!r} is not sha256: and 64 digits.")
        found = pip_requirement(item.name, item.version)
        return replace(found, index=item.index, hashes=item.hashes)

    return parse_items(items, parse, lambda wanted: wanted.normalized_name, "pip_requirements")


def os_packages(items: Iterable[NamedItem]) -> tuple[OSPackage, ...]:
    """OS packages as the API takes them, name and version. Raises `RequirementErrors`."""
    return parse_items(
        items,
        lambda item: os_package(item.name, item.version.strip(" ").lstrip("=")),
        lambda wanted: wanted.name,
        "os_packages",
    )


def parse_items(
    items: Iterable[NamedItem],
    parse: Callable[[NamedItem], T],
    key: Callable[[T], Hashable],
    field: str,
) -> tuple[T, ...]:
    parsed: dict[Hashable, T] = {}
    problems = []
    for number, item in enumerate(items, start=1):
        try:
            wanted = parse(item)
            if key(wanted) in parsed:
                raise ValueError(f"{key(wanted)} was named before; keep one of the two.")
        except ValueError as error:
            text = f"{item.name}{item.version}"[:MAX_LINE]
            problems.append(LineProblem(number, text, str(error), unit="Item"))
        else:
            parsed[key(wanted)] = wanted
    if problems:
        raise RequirementErrors(problems, field=field)
    return tuple(parsed.values())


def pip_requirement(name: str, version_specifier: str = "") -> PipRequirement:
    """A requirement in two fields. Raises `ValueError` with a sentence that says what is wrong."""
    text = version_specifier.strip(" ")
    refuse_unprintable(name + text)
    try:
        Version(text)
    except InvalidVersion:
        specifier = text
    else:
        specifier = f"=={text}"
    base, bracket, rest = name.partition("[")
    extras = tuple(sorted(rest.removesuffix("]").split(","))) if bracket else ()
    return checked_requirement(base, specifier, extras)


def checked_requirement(name: str, specifier: str, extras: tuple[str, ...]) -> PipRequirement:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a library's name.")
    for extra in extras:
        if not _NAME.fullmatch(extra):
            raise ValueError(f"{extra!r} is not an extra's name.")
    try:
        parsed = SpecifierSet(specifier)
    except InvalidSpecifier as error:
        raise ValueError(
            f"{specifier!r} is not a version or a version specifier, like 1.26.4 or >=1.26,<2."
        ) from error
    if "===" in specifier:
        raise ValueError("=== compares text, not versions; write == instead.")
    return PipRequirement(name, str(parsed), extras)


def os_package(name: str, version: str = "") -> OSPackage:
    """An OS package. Raises `ValueError` with a sentence for what no package system could mean."""
    # apt reads `name-` as "remove it"; no package is called so.
    if not _OS_NAME.fullmatch(name) or name.endswith("-"):
        raise ValueError(f"{name!r} is not the name of an OS package, like libgomp1.")
    if version and not _OS_VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is not a version of an OS package.")
    return OSPackage(name, version)
