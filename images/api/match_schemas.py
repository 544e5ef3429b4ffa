"""What matching takes and gives: which images have what is asked for, and what the others lack."""

from __future__ import annotations

from pydantic import Field

from images.api.schemas import PYTHON_VERSION, ImageOut, PackageRequirement, PipRequirement
from images.models import ImageType
from images.requirements import MAX_REQUIREMENTS
from ri_platform.api import Camel, Line


class MatchIn(Camel):
    """What an image must have."""

    pip_requirements: list[PipRequirement] = Field(min_length=1, max_length=MAX_REQUIREMENTS)
    """The libraries that must be installed."""
    package_requirements: list[PackageRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    """The OS packages that must have been asked for."""
    python_version: Line = Field("", max_length=PYTHON_VERSION)
    """As `X.Y`; empty for any."""
    image_type: ImageType | None = None
    """The use case of the base image; left out for any."""
    limit: int = Field(20, ge=1, le=100)
    """At most so many images."""


class MissingOut(Camel):
    """A requirement that an image does not meet."""

    requirement: str
    """The requirement."""
    installed: str
    """The version that is installed; empty if none is."""


class MatchOut(Camel):
    """An image, and what it lacks."""

    image: ImageOut
    """The image."""
    satisfies: bool
    """Whether it meets all requirements."""
    library_count: int
    """How many libraries it has; the fewer, the better it fits."""
    missing: list[MissingOut]
    """The requirements that it does not meet."""


class Matches(Camel):
    """Images by how well they fit."""

    matches: list[MatchOut]
    """The best first."""
