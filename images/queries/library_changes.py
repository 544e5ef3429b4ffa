"""Differences between two sets of libraries, of locks or of installed libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from images.lock_packages import packages_of


@dataclass(frozen=True)
class Change:
    """One library; an empty version means that it is not there."""

    name: str
    before: str
    after: str

    @property
    def kind(self) -> Literal["added", "removed", "upgraded", "downgraded"]:
        if not self.before:
            return "added"
        if not self.after:
            return "removed"
        try:
            return "upgraded" if Version(self.after) > Version(self.before) else "downgraded"
        except InvalidVersion:
            return "upgraded"


def locked_versions(lock: str) -> dict[str, str]:
    """Normalized name → version of a pylock.toml (PEP 751); an empty text locks nothing."""
    packages = packages_of(lock)
    return {canonicalize_name(package["name"]): package["version"] for package in packages}


def changes(before: str, after: str) -> list[Change]:
    """What differs between two locks, by name."""
    return differences(locked_versions(before), locked_versions(after))


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """What differs between two sets of libraries, given as normalized name → version."""
    return [
        Change(name, before.get(name, ""), after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
