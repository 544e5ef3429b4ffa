"""Installed distributions and the dependencies between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Distribution:
    """An installed distribution. `origin` says how it came there if not from an index."""

    name: str
    version: str
    requires: tuple[Requirement, ...]
    requested: bool
    origin: str
    python: str

    @classmethod
    def of(cls, item: Mapping[str, Any], python: str) -> Distribution:
        """A distribution of `installed.inventory()`."""
        return cls(
            name=item["name"],
            version=item["version"],
            requires=tuple(readable(item["requires"])),
            # uv and conda write the mark for everything that they install.
            requested=item["requested"] and item["installer"] == "pip",
            origin=origin_of(item),
            python=python,
        )

    @property
    def key(self) -> str:
        """PEP 503's form of the name, by which names are compared."""
        return canonicalize_name(self.name)

    def needs(self, extras: Iterable[str]) -> list[Requirement]:
        """The distribution's dependencies with these extras."""
        return [
            wanted
            for wanted in self.requires
            if any(self.holds(wanted, extra) for extra in ("", *extras))
        ]

    def holds(self, wanted: Requirement, extra: str) -> bool:
        known = {"extra": extra, "python_version": self.python}
        try:
            return wanted.marker is None or wanted.marker.evaluate(known)
        except (UndefinedComparison, UndefinedEnvironmentName):
            return False


def readable(texts: Iterable[str]) -> Iterable[Requirement]:
    """Requirements of metadata; old metadata has lines that are none."""
    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue


def origin_of(item: Mapping[str, Any]) -> str:
    """The origin of a distribution that is not from an index (PEP 610), in words that follow `It was`."""
    direct = item["directUrl"]
    if not isinstance(direct, dict):
        return "installed in place from a source folder" if item["inProject"] else ""
    if (direct.get("dir_info") or {}).get("editable"):
        return "installed in place from a source folder"
    if item["installer"] == "conda":
        # The folder of conda's own build, which no longer exists.
        return ""
    if "vcs_info" in direct:
        return "installed from a source repository"
    if str(direct.get("url", "")).startswith("file:"):
        return "installed from a file or folder of the machine"
    return "installed from a URL"


def edges(found: Iterable[Distribution]) -> dict[str, frozenset[str]]:
    """The dependencies of each distribution on the others, with the extras by which they name each other."""
    items = {item.key: item for item in found}
    extras: dict[str, frozenset[str]] = dict.fromkeys(items, frozenset())
    needs: dict[str, frozenset[str]] = {}
    waiting = list(items)
    while waiting:
        key = waiting.pop()
        wanted = items[key].needs(extras[key])
        needs[key] = frozenset(canonicalize_name(one.name) for one in wanted) & items.keys()
        for one in wanted:
            other = canonicalize_name(one.name)
            if other in items and not one.extras <= extras[other]:
                extras[other] |= one.extras
                waiting.append(other)
    return needs


def needed_by(found: Iterable[Distribution], key: str) -> list[str]:
    """The distributions that need this one."""
    return [other for other, needs in edges(found).items() if key in needs and other != key]


def top_level(found: Iterable[Distribution]) -> frozenset[str]:
    """The distributions that were installed by name or that no other one depends on."""
    items = {item.key: item for item in found}
    needs = edges(items.values())
    needed = {other for key, others in needs.items() for other in others if other != key}
    roots = [key for key, item in items.items() if item.requested or key not in needed]
    covered = find_reachable(roots, needs)
    for key in items:
        # Of those that need each other in a circle, one brings the rest.
        if key not in covered:
            roots.append(key)
            covered |= find_reachable([key], needs)
    return frozenset(roots)


def find_reachable(starts: Iterable[str], needs: Mapping[str, frozenset[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += needs[key]
    return seen
