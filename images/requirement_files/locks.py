"""Shared functions of the lock readers: entries that apply to the image become pinned requirements."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import MAX_REQUIREMENTS
from images.requirement_files.positions import lines_of_packages
from images.requirement_files.values import (
    Lock,
    LockedFile,
    LockedPackage,
    ReadRequirement,
    SuppliedFile,
)


@dataclass
class LockDraft:
    """A `Lock` in the making."""

    draft: Draft
    file: SuppliedFile
    packages: dict[str, LockedPackage] = field(default_factory=dict)
    extras: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lines = lines_of_packages(self.file.text)

    def line(self, name: str, version: str = "") -> int:
        return self.lines.get((name, version)) or self.lines.get((name, ""), 0)

    def take(self, package: LockedPackage, *, extras: Collection[str] = ()) -> None:
        """Note a package that holds for the image; two versions of one are refused."""
        place = Place(self.file.name, package.line)
        text = f"{package.name}=={package.version}"
        try:
            Version(package.version)
        except InvalidVersion:
            self.draft.refuse(
                place, text, "Its version is none; make the lock again with its tool."
            )
            return
        earlier = self.packages.setdefault(canonicalize_name(package.name), package)
        if earlier.version != package.version:
            self.draft.refuse(
                place,
                text,
                f"The lock has {earlier.name}=={earlier.version} on line {earlier.line} as well, for the "
                "same Python and machine; choose other groups or extras, or make the lock again.",
            )
            return
        self.extras.setdefault(canonicalize_name(package.name), set()).update(extras)
        if not package.files and earlier is package:
            message = "The lock has no hash of it; make the lock again with hashes."
            self.draft.refuse(place, text, message)

    def leave_out(self, name: str, version: str, reason: str) -> None:
        place = Place(self.file.name, self.line(name, version))
        self.draft.leave_out(place, f"{name}=={version}" if version else name, reason)

    def refuse_source(self, name: str, version: str = "") -> None:
        self.draft.refuse(
            Place(self.file.name, self.line(name, version)),
            name,
            f"{name} does not come from an index; release it to one, or upload its wheel, and lock again.",
        )

    def finish(self) -> None:
        """Write the lock and its requirements into the draft."""
        for key, package in self.packages.items():
            self.draft.requirements.append(
                ReadRequirement(
                    name=package.name,
                    file=self.file.name,
                    line=package.line,
                    specifier=f"=={package.version}",
                    extras=tuple(sorted(self.extras.get(key, ()))),
                    hashes=tuple(f"sha256:{locked.sha256}" for locked in package.files),
                )
            )
        self.draft.locks.append(Lock(self.file.name, tuple(self.packages.values())))


def holds(draft: Draft, marker: object, extras: Collection[str] = ()) -> bool:
    """Decide a marker of a lock. Raises `ValueError` with a sentence for what is none."""
    if not marker:
        return True
    try:
        return draft.target.holds(Marker(str(marker)), extras)
    except (
        InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, RecursionError
    ) as error:  # fmt: skip
        raise ValueError(
            f"{str(marker)[:100]} is no environment marker; make the lock again."
        ) from error


def locked_file(name: str, url: str, digest: object) -> LockedFile | None:
    """A file with its hash as locks write it, `sha256:…` or the digits alone; None for other algorithms."""
    digits = str(digest or "").removeprefix("sha256:").lower()
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        return None
    if not name and url:
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    return LockedFile(digits, name, url)


def locked_files(entries: object) -> tuple[LockedFile, ...]:
    """The files that poetry and pdm list, `{file or url, hash}` each."""
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            name, url = str(entry.get("file", "")), str(entry.get("url", ""))
            if made := locked_file(name, url, entry.get("hash")):
                found.append(made)
    return tuple(found)


def packages_of(tables: Mapping[str, Any], key: str = "package") -> list[dict[str, Any]]:
    """The entries of a lock that have a name. Raises `ValueError` with a sentence."""
    found = tables.get(key, [])
    if not isinstance(found, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in found
    ):
        raise ValueError("It has no packages in the form of its tool; make the lock again.")
    if len(found) > MAX_REQUIREMENTS:
        raise ValueError(f"It has more than {MAX_REQUIREMENTS:,} packages; lock fewer.")
    return found
