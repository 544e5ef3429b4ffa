"""Hashes that requirements name: the only files of a library that may be installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from images.building.locks.files import LockedFile, LockedSource, LockedWheel
from images.building.locks.pylock import file_values, package_text
from images.errors import HashesDiffer, LockInvalid
from images.lock_packages import packages_of
from images.requirements import PipRequirement


def keep_given_hashes(lock: str, requirements: Sequence[PipRequirement]) -> str:
    """The lock (PEP 751) without the files that its requirements do not allow.

    Raises `HashesDiffer` with what was wanted and what was found of each library of which nothing is left.
    """
    given = {
        item.normalized_name: frozenset(text.removeprefix("sha256:") for text in item.hashes)
        for item in requirements
        if item.hashes
    }
    if not given:
        return lock
    differing: dict[str, str] = {}
    packages = []
    for package in packages_of(lock):
        files = files_of(package)
        name = canonicalize_name(package["name"])
        kept = [file for file in files if name not in given or file.sha256 in given[name]]
        if not kept:
            differing[name] = sentence(name, package["version"], given[name], files)
        packages.append(package_text(name, package["version"], kept))
    if differing:
        raise HashesDiffer(differing)
    return "\n".join(['lock-version = "1.0"', 'created-by = "ri-platform"', *packages]) + "\n"


def files_of(package: Mapping[str, Any]) -> list[LockedFile]:
    """Every file of a package, as values that check themselves."""
    try:
        wheels: list[LockedFile] = [
            LockedWheel(*file_values(package, file)) for file in package.get("wheels", [])
        ]
        source = package.get("sdist")
        return [*wheels, LockedSource(*file_values(package, source))] if source else wheels
    except (KeyError, TypeError, ValueError) as error:
        raise LockInvalid(
            f"The index does not tell the sha256 of each file of {str(package.get('name'))[:100]!a}.",
            hint="An operator should look at the index; files without a hash cannot be compared.",
        ) from error


def sentence(name: str, version: str, wanted: frozenset[str], found: Sequence[LockedFile]) -> str:
    given = f"sha256:{min(wanted)}" + (f" or {len(wanted) - 1} others" if len(wanted) > 1 else "")
    there = ", ".join(f"sha256:{file.sha256} ({file.filename})" for file in found[:2])
    more = f" and {len(found) - 2} more" if len(found) > 2 else ""
    return (
        f"{name} {version} is to be a file of {given}, and the index has {there or 'none'}{more}."
    )
