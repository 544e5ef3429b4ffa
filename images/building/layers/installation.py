"""The files that installing a wheel writes, as pip has it: where they go, and launchers of entry points.

Where several have one path, the one that pip writes last stays: files of the archive's root, those of its
`.data` folders, its scripts, then launchers. A script that has an entry point's name is left out. Sources:
pip's `operations/install/wheel.py`; PEP 427; the entry points specification (packaging.python.org).
"""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from images.building.layers.wheel_archive import refuse_path, refuser

SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")
LAUNCHED = ("console_scripts", "gui_scripts")
# `module:attribute [extra]`; distlib, which writes pip's launchers, takes no other.
_VALUE = re.compile(r"(\w+(?:\.\w+)*)\s*:\s*(\w+(?:\.\w+)*)\s*(?:\[[^\[\]]*\])?")


@dataclass(frozen=True)
class Member:
    """A file of the archive, the scheme (`sysconfig`) that it belongs to, and its path in there."""

    name: str
    scheme: str
    path: str
    executable: bool


@dataclass(frozen=True)
class Launcher:
    """A script that calls an entry point."""

    name: str
    module: str
    attribute: str


class WheelContents:
    """An archive that was looked at (`images.building.layers.wheel_archive`) as a wheel named `filename`.

    Its methods raise `WheelInvalid`, or what reading an archive raises.
    """

    def __init__(self, archive: zipfile.ZipFile, filename: str) -> None:
        self._archive = archive
        self._refuse = refuser(filename)
        self.filename = filename
        self.title = "{} {}".format(*parse_wheel_filename(filename)[:2])
        # Of entries of one name, `zipfile` reads the last.
        self.files = [name for name in dict.fromkeys(archive.namelist()) if name[-1:] != "/"]
        self.dist_info = self._dist_info()

    def _dist_info(self) -> str:
        folders = {name.partition("/")[0] for name in self.files if "/" in name}
        found = sorted(name for name in folders if name.endswith(".dist-info"))
        if len(found) != 1:
            self._refuse(f"has {len(found)} .dist-info folders, where a wheel has one")
        return found[0]

    def read(self, name: str) -> bytes:
        """A file of the `.dist-info` folder. Raises `KeyError` if there is none."""
        return self._archive.read(f"{self.dist_info}/{name}")

    def refuse_other_metadata(self) -> None:
        """Raise `WheelInvalid` unless METADATA is that of the library and version in the file's name.

        Lists of what is installed are made of METADATA in the image, and of the file's name here.
        """
        name, version, *_ = parse_wheel_filename(self.filename)
        fields = HeaderParser().parsestr(self.read("METADATA").decode("utf-8"))
        own_name, own_version = str(fields.get("Name", "")), str(fields.get("Version", ""))
        try:
            same = canonicalize_name(own_name) == name and Version(own_version) == version
        except InvalidVersion:
            same = False
        if not same:
            self._refuse(f"says of itself that it is {own_name[:100]!r} {own_version[:100]!r}")

    def refuse_other_format(self) -> None:
        """Raise `WheelInvalid` unless WHEEL says that the format is one of version 1 (PEP 427)."""
        fields = HeaderParser().parsestr(self.read("WHEEL").decode("utf-8"))
        told = str(fields.get("Wheel-Version", "")).strip()
        if not re.fullmatch(r"[01](\.\d+)*", told):
            self._refuse(f"is of the wheel format {told[:50]!r}, and only 1 is known")

    def launchers(self, python_version: str) -> list[Launcher]:
        """Of console and GUI scripts, in pip's order; of entry points of one name, the last counts."""
        entry = f"{self.dist_info}/entry_points.txt"
        if entry not in self.files:
            return []
        groups = entry_points(self.read("entry_points.txt").decode("utf-8"))
        console, gui = (groups.get(group, {}) for group in LAUNCHED)
        named = [*console_scripts_of(console, python_version).items(), *gui.items()]
        return [self._launcher(name, value) for name, value in named]

    def _launcher(self, name: str, value: str) -> Launcher:
        refuse_path(name, self._refuse)
        called = _VALUE.fullmatch(value)
        if called is None:
            self._refuse(
                f"has the script {name[:100]!r}, whose entry point {value[:100]!r} names no function"
            )
        return Launcher(name, called[1], called[2])

    def members(self, launchers: Collection[Launcher]) -> Iterator[Member]:
        """The files that are installed, in the order in which pip writes them; RECORD is written anew."""
        taken = {launcher.name for launcher in launchers}
        scripts: list[Member] = []
        others: list[Member] = []
        for name in self.files:
            folder, _, rest = name.partition("/")
            if name == f"{self.dist_info}/RECORD" or "/__pycache__/" in f"/{name}":
                continue  # Bytecode is made of the source beside it; nobody looks at what a wheel brings.
            if not folder.endswith(".data"):
                yield self._member(name, "purelib", name)
                continue
            scheme, _, path = rest.partition("/")
            if scheme not in SCHEMES or not path:
                self._refuse(
                    f"holds {name[:200]!r}, and such files stand in one of {', '.join(SCHEMES)} there"
                )
            if scheme != "scripts":
                others.append(self._member(name, scheme, path))
            elif entry_point_of_wrapper(path) not in taken:
                scripts.append(self._member(name, scheme, path))
        yield from others
        yield from scripts

    def _member(self, name: str, scheme: str, path: str) -> Member:
        mode = self._archive.getinfo(name).external_attr >> 16
        executable = bool(stat.S_ISREG(mode) and mode & 0o111)
        return Member(name, scheme, path, executable or scheme == "scripts")


def entry_points(text: str) -> dict[str, dict[str, str]]:
    """Group → name → value of an entry_points.txt, as `importlib.metadata` reads it: line by line."""
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] = {}
    for line in map(str.strip, text.removeprefix("\ufeff").splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = groups.setdefault(line[1:-1].strip(), {})
        elif line and line[0] not in "#;" and "=" in line:
            name, _, value = line.partition("=")
            # The last of one name counts, at its own place.
            group.pop(name.strip(), None)
            group[name.strip()] = value.strip()
    return groups


def console_scripts_of(console: dict[str, str], python_version: str) -> dict[str, str]:
    """The console scripts, those of pip and setuptools with the names for this Python, as pip has it.

    Their wheels are for every Python, and name the one that they were built with.
    """
    found = dict(console)
    major = python_version.partition(".")[0]
    for name, numbers, old in (
        ("pip", (major, python_version), r"pip(\d+(\.\d+)?)?"),
        ("easy_install", (f"-{python_version}",), r"easy_install(-\d+\.\d+)?"),
    ):
        if value := found.get(name):
            found = {key: value for key, value in found.items() if not re.fullmatch(old, key)}
            found = {name: value, **{f"{name}{number}": value for number in numbers}, **found}
    return found


def entry_point_of_wrapper(path: str) -> str:
    """The entry point whose wrapper a script of setuptools is, by its name; else its own name."""
    name = path.rpartition("/")[2]
    for ending in (".exe", "-script.py", ".pya"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
