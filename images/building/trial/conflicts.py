"""The rules of `pip check` for what is installed in an image: each requirement is there and fits.

Source: pip's operations/check.py. Markers are evaluated for the image's Python on Linux x86-64, not for the
worker's; what cannot be read as a requirement is passed over, as pip does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from packaging.markers import InvalidMarker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

MAX_CONFLICTS = 50


@dataclass(frozen=True)
class Distribution:
    """An installed library as its metadata tells it; `requires` are lines of Requires-Dist."""

    name: str
    version: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conflict:
    """A library and one of its requirements that does not hold, with a sentence for people."""

    library: str
    requirement: str
    message: str


def conflicts_of(
    installed: Iterable[Distribution], among: Collection[str], python: str
) -> list[Conflict]:
    """Requirements that do not hold, of the libraries `among` (normalized names) all that are installed.

    `python` is the full version of the image's Python. At most `MAX_CONFLICTS` are given.
    """
    by_name: dict[str, Distribution] = {canonicalize_name(item.name): item for item in installed}
    environment = environment_of(python)
    found = []
    for name in sorted(by_name.keys() & set(among)):
        for line in by_name[name].requires:
            conflict = conflict_of(by_name[name], line, by_name, environment)
            if conflict is not None:
                found.append(conflict)
    return found[:MAX_CONFLICTS]


def conflict_of(
    library: Distribution,
    line: str,
    installed: Mapping[str, Distribution],
    environment: Mapping[str, str],
) -> Conflict | None:
    try:
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({**environment, "extra": ""}):
            return None
        there = installed.get(canonicalize_name(wanted.name))
        if there and wanted.specifier.contains(Version(there.version), prereleases=True):
            return None
    except (
        InvalidRequirement, InvalidMarker, InvalidVersion, UndefinedComparison, UndefinedEnvironmentName,
    ):  # fmt: skip
        return None
    who = f"{library.name} {library.version}"
    if there is None:
        message = f"{who} requires {wanted.name}, which is not installed."
    else:
        message = (
            f"{who} requires {wanted.name}{wanted.specifier}, but {there.version} is installed."
        )
    return Conflict(library.name, f"{wanted.name}{wanted.specifier}", message)


def environment_of(python: str) -> dict[str, str]:
    """The environment of markers (PEP 508) in an image."""
    major, minor = python.split(".")[:2]
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python,
        "python_version": f"{major}.{minor}",
        "sys_platform": "linux",
    }
