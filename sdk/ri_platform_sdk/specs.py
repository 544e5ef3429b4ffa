"""The spec of an image, as both clients and the command line pass it to calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.files import Files, wire_files
from ri_platform_sdk.requirements import Requirements, wire_packages, wire_requirements
from ri_platform_sdk.running import RunTime


@dataclass(frozen=True)
class Spec:
    """The content of an image; None where nothing is said about it."""

    requirements: Requirements | None = None
    package_requirements: Iterable[Any] | None = None
    python_version: str | None = None
    image_type: str | None = None
    files: Files | None = None
    groups: Iterable[str] | None = None
    extras: Iterable[str] | None = None
    allow_source: bool | None = None
    indexes: Iterable[str] | None = None
    allow_prereleases: bool | None = None
    run_time: RunTime | None = None

    def body(self) -> dict[str, Any]:
        """The spec as a request body, without the fields that are not set. Raises `InvalidRequest`."""
        body: dict[str, Any] = {
            "pythonVersion": self.python_version,
            "imageType": self.image_type,
            "allowSource": self.allow_source,
            "allowPrereleases": self.allow_prereleases,
            "indexes": None if self.indexes is None else names(self.indexes),
        }
        if self.run_time is not None:
            body["runTime"] = run_time_body(self.run_time)
        if self.requirements is not None:
            body["pipRequirements"] = wire_requirements(self.requirements)
        if self.package_requirements is not None:
            body["packageRequirements"] = wire_packages(self.package_requirements)
        return {key: value for key, value in body.items() if value is not None} | self.file_body()

    def file_body(self) -> dict[str, Any]:
        """The files, and what is chosen of them, which other files do not have."""
        if self.files is not None:
            return {
                "files": wire_files(self.files),
                "groups": names(self.groups or ()),
                "extras": names(self.extras or ()),
            }
        chosen = {"groups": self.groups, "extras": self.extras}
        return {key: names(value) for key, value in chosen.items() if value is not None}


def run_time_body(run_time: RunTime) -> dict[str, Any]:
    body: dict[str, Any] = {
        "env": None if run_time.env is None else dict(run_time.env),
        "workingDir": run_time.working_dir,
        "user": run_time.user,
        "entrypoint": None if run_time.entrypoint is None else names(run_time.entrypoint),
        "labels": None if run_time.labels is None else dict(run_time.labels),
    }
    return {key: value for key, value in body.items() if value is not None}


def names(given: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise InvalidRequest(f"Give {given!r} in a list.")
    return list(given)
