"""Origins of an image's libraries: a requirement, another library, or the base image."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from images.attestations import BuiltHere, find_local_build
from images.lock_packages import packages_of
from images.models import Build


@dataclass(frozen=True)
class Origin:
    """An installed library. `requirement` is as it was asked for, empty if it was not.

    `through` are the libraries that require it. `known` is false where neither is recorded, as in locks
    of before they told it; `in_base` says that the base image has it at this version. `built` is what is
    known of a wheel that no index has, since it was built here of a source distribution. `notes` are what
    the build told of it: a yanked release, files that are another library's.
    """

    name: str
    version: str
    requirement: str
    through: tuple[str, ...]
    in_base: bool
    built: BuiltHere | None = None
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        return bool(self.requirement or self.through or self.in_base)


def origins(build: Build) -> list[Origin]:
    """The libraries of a build that succeeded, by name."""
    asked = {item.normalized_name: str(item) for item in build.spec.pip_requirements}
    through = required_by(build.lock)
    of_base: dict[str, str] = {
        canonicalize_name(name): version for name, version in build.base_image.libraries
    }
    return [
        Origin(
            name=item.name,
            version=item.version,
            requirement=asked.get(item.normalized_name, ""),
            through=tuple(sorted(through.get(item.normalized_name, ()))),
            in_base=of_base.get(item.normalized_name) == item.version,
            built=find_local_build(item, build.lock),
            notes=tuple(item.notes),
        )
        for item in build.libraries.select_related("built_wheel")
    ]


def required_by(lock: str) -> dict[str, list[str]]:
    """Normalized name → who requires it, from the `dependencies` of a pylock.toml (PEP 751)."""
    found: dict[str, list[str]] = defaultdict(list)
    for package in packages_of(lock):
        for dependency in package.get("dependencies", []):
            found[canonicalize_name(dependency["name"])].append(canonicalize_name(package["name"]))
    return dict(found)
