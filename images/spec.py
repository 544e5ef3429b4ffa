"""A spec: what an image is to contain, as one immutable value from the form to the build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from images.requirements import OSPackage, PipRequirement
from images.run_time.settings import NO_SETTINGS, RunTime

# Fields that older rows do not have.
NEWER = frozenset({"indexes", "allow_prereleases", "run_time"})


@dataclass(frozen=True)
class ImageSpec:
    """Base image, libraries, OS packages and run-time settings.

    Its fields are columns of `ManagedImage` of the same names.
    """

    image_type: str
    python_version: str
    pip_requirements: tuple[PipRequirement, ...] = ()
    os_packages: tuple[OSPackage, ...] = ()
    # Libraries without a wheel may be built from source.
    allow_source: bool = False
    # Names of explicit indexes from which any of its libraries may come.
    indexes: tuple[str, ...] = ()
    # Pre-releases count as releases, also of what its libraries need, as with pip's `--pre`.
    allow_prereleases: bool = False
    # What a container of it starts with.
    run_time: RunTime = NO_SETTINGS

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> ImageSpec:
        """The value that `columns()` or `as_json()` stored. Older specs do not have the newer keys."""
        return cls(
            columns["image_type"],
            columns["python_version"],
            tuple(map(PipRequirement.of_json, columns["pip_requirements"])),
            tuple(map(OSPackage.of_json, columns["os_packages"])),
            bool(columns.get("allow_source", False)),
            tuple(columns.get("indexes", ())),
            bool(columns.get("allow_prereleases", False)),
            RunTime.of_json(columns.get("run_time", {})),
        )

    @property
    def is_locked(self) -> bool:
        """Its libraries are a complete lock: one version of each, with hashes, and nothing to resolve."""
        return bool(self.pip_requirements) and all(item.is_locked for item in self.pip_requirements)

    def with_places_of(self, before: ImageSpec) -> ImageSpec:
        """The spec with the indexes of another one's libraries, where it says none."""
        places = {item.normalized_name: item.index for item in before.pip_requirements}
        libraries = tuple(
            replace(item, index=item.index or places.get(item.normalized_name, ""))
            for item in self.pip_requirements
        )
        return replace(self, pip_requirements=libraries)

    def same_content(self, other: ImageSpec) -> bool:
        """Whether the two differ by run-time settings at most, so that a lock of one is the other's, too."""
        return replace(self, run_time=other.run_time) == other

    def columns(self) -> dict[str, Any]:
        """The spec as the columns of `ManagedImage` have it."""
        return {
            "image_type": self.image_type,
            "python_version": self.python_version,
            "pip_requirements": [item.as_json() for item in self.pip_requirements],
            "os_packages": [item.as_json() for item in self.os_packages],
            "allow_source": self.allow_source,
            "indexes": list(self.indexes),
            "allow_prereleases": self.allow_prereleases,
            "run_time": self.run_time.as_json(),
        }

    def as_json(self) -> dict[str, Any]:
        """For `SpecField` and the provenance; without what is empty of the newer fields, as in older rows."""
        columns = self.columns()
        return {name: value for name, value in columns.items() if name not in NEWER or value}

    def summary(self) -> dict[str, Any]:
        """For the audit log: that it is a lock counts there, and not each hash."""
        libraries = [replace(item, hashes=()).as_json() for item in self.pip_requirements]
        locked = {"locked": True} if self.is_locked else {}
        return {**self.as_json(), "pip_requirements": libraries, **locked}
