"""Comparison of two revisions, of one image or of two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from images import attestations
from images.models import Build, InstalledLibrary, ManagedImage
from images.queries.images import image_named
from images.queries.library_changes import Change, differences
from images.references import repository_of
from ri_platform.errors import NotFound
from ri_platform.numbers import number_of
from workspaces.models import User


@dataclass(frozen=True)
class Differences:
    """Of two sets of names with versions."""

    changed: list[Change]
    only_left: list[Change]
    only_right: list[Change]
    same: int

    @classmethod
    def between(cls, left: dict[str, str], right: dict[str, str]) -> Differences:
        found = differences(left, right)
        return cls(
            changed=[change for change in found if change.before and change.after],
            only_left=[change for change in found if not change.after],
            only_right=[change for change in found if not change.before],
            same=sum(right.get(name) == version for name, version in left.items()),
        )

    @property
    def all(self) -> list[Change]:
        return sorted(
            [*self.changed, *self.only_left, *self.only_right], key=lambda change: change.name
        )

    @property
    def none(self) -> bool:
        return not (self.changed or self.only_left or self.only_right)


@dataclass(frozen=True)
class Comparison:
    """`left` and `right` are builds that succeeded."""

    left: Build
    right: Build

    @cached_property
    def libraries(self) -> Differences:
        return Differences.between(versions_in(self.left), versions_in(self.right))

    @cached_property
    def run_time(self) -> list[Change]:
        """The run-time settings that differ, by title."""
        left, right = (build.spec.run_time.by_title() for build in (self.left, self.right))
        return differences(left, right)

    @cached_property
    def os_packages(self) -> Differences:
        return Differences.between(system_packages(self.left), system_packages(self.right))


def versions_in(build: Build | None) -> dict[str, str]:
    """Normalized name → version of the libraries in a build's image; of none, nothing."""
    if build is None:
        return {}
    return dict(build.libraries.values_list("normalized_name", "version"))


def versions_by_number(image: ManagedImage, numbers: Collection[int]) -> dict[int, dict[str, str]]:
    """Number of a build of the image → its libraries, at one query."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    rows = InstalledLibrary.objects.filter(build__image=image, build__number__in=numbers)
    for number, name, version in rows.order_by().values_list(
        "build__number", "normalized_name", "version"
    ):
        found[number][name] = version
    return found


def system_packages(build: Build) -> dict[str, str]:
    """The operating system's packages in the image; empty where the base image does not tell."""
    return dict(attestations.recorded_facts(build, repository_of(build.image)).os_packages)


def revision_named(user: User, text: str) -> Build:
    """The revision that `name` or `name:build-<number>` stands for; without a number the current one.

    Raises `NotFound`.
    """
    name, _, tag = text.strip().partition(":")
    number = tag.removeprefix("build-")
    wanted = number_of(number, 31)
    if tag and wanted is None:
        image_named(user, name)
        raise NotFound(f"{name} has no revision {tag}.")
    return revision_of(user, name, wanted)


def revision_of(user: User, name: str, number: int | None) -> Build:
    """The build of this number, if it succeeded; without a number the current one. Raises `NotFound`."""
    image = image_named(user, name)
    if number is None:
        if image.current_build is None:
            raise NotFound(f"No build of {name} has succeeded yet.")
        return image.current_build
    found = image.builds.select_related("base_image").revisions().numbered(number)
    if found is None:
        raise NotFound(f"{name} has no revision build-{number}.")
    return found
