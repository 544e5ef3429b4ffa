"""A spec: what an image is to contain, as one immutable value from the form to the build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from images.requirements import OSPackage, PipRequirement


@dataclass(frozen=True)
class ImageSpec:
    """Base image, libraries and OS packages. Its fields are columns of `ManagedImage` of the same names."""

    image_type: str
    python_version: str
    pip_requirements: tuple[PipRequirement, ...] = ()
    os_packages: tuple[OSPackage, ...] = ()
    # Libraries without a wheel may be built from source.
    allow_source: bool = False

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> ImageSpec:
        """The value that `columns()` stored. Specs older than `allow_source` do not have that key."""
        return cls(
            columns["image_type"],
            columns["python_version"],
            tuple(map(PipRequirement.of_json, columns["pip_requirements"])),
            tuple(map(OSPackage.of_json, columns["os_packages"])),
            bool(columns.get("allow_source", False)),
        )

    def columns(self) -> dict[str, Any]:
        """The spec as JSON has it: for `ManagedImage`'s columns, `SpecField` and the audit log."""
        return {
            "image_type": self.image_type,
            "python_version": self.python_version,
            "pip_requirements": [item.as_json() for item in self.pip_requirements],
            "os_packages": [item.as_json() for item in self.os_packages],
            "allow_source": self.allow_source,
        }
