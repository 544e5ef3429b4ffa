"""Schemas of alterations and comparisons."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from images.api.problems import Problem
from images.api.spec_schemas import LibraryRequirement, PackageRequirement, RunTimeOut
from images.models import ImageType
from ri_platform.api import Camel


class LibraryChange(Camel):
    """A library or package that differs. An empty version means that this side does not have it."""

    name: str = Field(examples=["pandas"])
    """Its normalized name."""
    before: str
    """The version on the left side, or before."""
    after: str
    """The version on the right side, or after."""


class Changes(Camel):
    """The differences between two sets of libraries or packages, by name."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "added": [{"name": "pandas", "before": "", "after": "2.3.3"}],
                "removed": [{"name": "six", "before": "1.17.0", "after": ""}],
                "changed": [{"name": "numpy", "before": "2.3.2", "after": "2.3.3"}],
                "same": 27,
            }
        }
    )

    added: list[LibraryChange]
    """Libraries or packages that only the right side has."""
    removed: list[LibraryChange]
    """Libraries or packages that only the left side has."""
    changed: list[LibraryChange]
    """Libraries or packages that both sides have, in different versions."""
    same: int
    """The number of those that are the same on both sides."""


class AlterationOut(Camel):
    """A proposed alteration of an image."""

    id: int
    """Its number, unique on the instance."""
    image_name: str
    """The image to alter."""
    state: str = Field(examples=["succeeded"])
    """`queued`, `running`, `succeeded` (it can be built) or `failed`."""
    changes: Changes | None = None
    """The changes to the image's lock; absent until it is resolved."""
    pip_requirements: list[LibraryRequirement]
    """The libraries to install."""
    package_requirements: list[PackageRequirement]
    """The OS packages to install."""
    python_version: str
    """The Python version of the altered image."""
    image_type: ImageType
    """The use case of the new base image."""
    allow_source: bool
    """Whether libraries without a wheel may be built from source."""
    indexes: list[str] = Field(examples=[[]])
    """Explicit indexes from which any of the libraries may come."""
    allow_prereleases: bool = Field(examples=[False])
    """Whether pre-releases count as releases."""
    locked: bool = Field(examples=[False])
    """Whether the libraries are a complete lock, which is installed as it is."""
    run_time: RunTimeOut
    """The run-time settings that were asked for."""
    base_image: str
    """The new base image, with its platform version."""
    error: Problem | None = None
    """The reason why it could not be resolved."""
    creation_time: datetime
    """When it was proposed."""
    completion_time: datetime | None = None
    """The time when it was resolved or failed."""


class OneAlteration(Camel):
    """An alteration."""

    alteration: AlterationOut
    """The alteration."""


class RevisionOut(Camel):
    """A build that succeeded, as one side of a comparison."""

    image_name: str
    """The image's name."""
    build: int
    """The number of the build."""
    digest: str
    """The digest of its manifest."""
    base_image: str
    """The base image that it stands on, with its platform version."""
    python_version: str
    """The Python version, as `X.Y`."""
    size_bytes: int
    """Its compressed size in bytes."""
    pip_requirements: list[LibraryRequirement]
    """The libraries that were asked for."""
    package_requirements: list[PackageRequirement]
    """The OS packages that were asked for."""
    run_time: RunTimeOut
    """The run-time settings that were asked for."""
    creation_time: datetime
    """The time of the request."""


class ComparisonOut(Camel):
    """Two builds and the differences between them."""

    left: RevisionOut
    """The left side."""
    right: RevisionOut
    """The right side."""
    libraries: Changes
    """The differences in the installed Python libraries."""
    os_packages: Changes
    """The differences in OS packages; empty if the base images do not list their packages."""
