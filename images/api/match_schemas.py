"""Schemas of matching: requirements, and images with the requirements that they do not meet."""

from __future__ import annotations

from pydantic import Field

from images.api.file_schemas import FilesIn
from images.api.schemas import ImageOut
from images.api.spec_schemas import PYTHON_VERSION, PackageRequirement, PipRequirement
from images.models import ImageType
from images.requirements import MAX_REQUIREMENTS
from ri_platform.api import Camel, Line


class MatchIn(FilesIn):
    """The requirements that an image must meet."""

    pip_requirements: list[PipRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    """The libraries that must be installed, beside those of `files`. Names, versions and extras are compared,
    not the index or the hash of what is installed."""
    package_requirements: list[PackageRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    """The OS packages that the image's spec must name."""
    python_version: Line = Field("", max_length=PYTHON_VERSION)
    """The Python version, as `X.Y`; empty for the one that the files name, or for any."""
    image_type: ImageType | None = None
    """The use case of the base image; absent for any."""
    limit: int = Field(20, ge=1, le=100)
    """The largest number of images to return."""


class MissingOut(Camel):
    """A requirement that an image does not meet."""

    requirement: str
    """The requirement."""
    installed: str
    """The version that is installed; empty if none is."""


class MatchOut(Camel):
    """An image and the requirements that it does not meet."""

    image: ImageOut
    """The image."""
    satisfies: bool
    """Whether it meets all requirements."""
    library_count: int
    """The number of its libraries. Of two images that meet all requirements, the smaller one comes first."""
    missing: list[MissingOut]
    """The requirements that it does not meet."""


class Matches(Camel):
    """Images in the order of their fit."""

    matches: list[MatchOut]
    """The matches, best first."""
