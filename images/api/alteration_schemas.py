"""What the API of alterations and comparisons answers."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from images.api.schemas import PackageRequirement, PipRequirement, Problem
from images.models import ImageType
from ri_platform.api import Camel


class LibraryChange(Camel):
    """A library or package that differs; an empty version means that it is not there."""

    name: str = Field(examples=["pandas"])
    """Its normalized name."""
    before: str
    """The version on the left side, or before."""
    after: str
    """The version on the right side, or after."""


class Changes(Camel):
    """What differs between two sets of libraries or packages, each by name."""

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
    """What only the right side has."""
    removed: list[LibraryChange]
    """What only the left side has."""
    changed: list[LibraryChange]
    """What both have, in different versions."""
    same: int
    """How many are the same on both sides."""


class AlterationOut(Camel):
    """A proposed alteration of an image."""

    id: int
    """Its number, unique on the instance."""
    image_name: str
    """The image that it would alter."""
    state: str = Field(examples=["succeeded"])
    """`queued`, `running`, `succeeded` (it can be built) or `failed`."""
    changes: Changes | None = None
    """What it changes in the image's lock, once it is resolved."""
    pip_requirements: list[PipRequirement]
    """The libraries that the image would be asked for."""
    package_requirements: list[PackageRequirement]
    """The OS packages that the image would be asked for."""
    python_version: str
    """The Python version that the image would have."""
    image_type: ImageType
    """The use case of the base image that it would stand on."""
    allow_source: bool
    """Whether libraries without a wheel may be built from source."""
    base_image: str
    """The base image that it would stand on, with its platform version."""
    error: Problem | None = None
    """Why it could not be resolved."""
    creation_time: datetime
    """When it was proposed."""
    completion_time: datetime | None = None
    """When it was resolved, or failed to be."""


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
    pip_requirements: list[PipRequirement]
    """The libraries that were asked for."""
    package_requirements: list[PackageRequirement]
    """The OS packages that were asked for."""
    creation_time: datetime
    """When the build was asked for."""


class ComparisonOut(Camel):
    """Two builds beside each other."""

    left: RevisionOut
    """The left side."""
    right: RevisionOut
    """The right side."""
    libraries: Changes
    """What differs in the Python libraries that are installed."""
    os_packages: Changes
    """What differs in the operating system's packages; nothing where the base images do not tell theirs."""
