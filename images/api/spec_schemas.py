"""Schemas of a spec as programs ask for it: libraries, OS packages, and what is built of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from images.api.file_schemas import MAX_CHOICES, Choice, FileIn, FilesIn
from images.models import ImageType, ManagedImage
from images.requirement_files.limits import MAX_FILES
from images.requirements import MAX_HASHES, MAX_INDEX, MAX_LINE, MAX_REQUIREMENTS, NamedItem
from ri_platform.api import Camel, Line
from ri_platform.text import column_length

PYTHON_VERSION = column_length(ManagedImage, "python_version")

Hash = Annotated[Line, StringConstraints(max_length=80)]


class PipRequirement(Camel):
    """A library to install."""

    name: Line = Field(min_length=1, max_length=MAX_LINE, examples=["pandas"])
    """The library's name, optionally with extras in brackets."""
    version_specifier: Line = Field("", max_length=MAX_LINE, examples=[">=2,<3"])
    """PEP 440, or a bare version, which means `==`; empty for any version."""


class LibraryRequirement(PipRequirement):
    """A library that an image is to contain, and where it comes from."""

    index: Line = Field("", max_length=MAX_INDEX, examples=[""])
    """The name of the index that it has to come from; empty leaves that to the operator's rules."""
    hashes: list[Hash] = Field(default_factory=list, max_length=MAX_HASHES, examples=[[]])
    """The installed file has one of these (`sha256:…`). If every library has one version and hashes, they
    are a complete lock: nothing is resolved, and each file is installed as it is locked."""


class PackageRequirement(Camel):
    """A package of the base image's operating system."""

    name: Line = Field(min_length=1, max_length=MAX_LINE, examples=["libgomp1"])
    """The package's name, as its system knows it."""
    version_specifier: Line = Field("", max_length=MAX_LINE)
    """The version, bare or after `==`; empty for any."""
    package_type: Literal[
        "PACKAGE_TYPE_UNSPECIFIED", "PACKAGE_TYPE_APT", "PACKAGE_TYPE_ROCKYLINUX"
    ] = "PACKAGE_TYPE_UNSPECIFIED"
    """Accepted and ignored: the base image's system determines the type."""


def named_items(items: Iterable[PipRequirement | PackageRequirement]) -> list[NamedItem]:
    """As `images.requirements` takes them."""
    return [
        NamedItem(item.name, item.version_specifier, item.index, tuple(item.hashes))
        if isinstance(item, LibraryRequirement)
        else NamedItem(item.name, item.version_specifier)
        for item in items
    ]


class SpecIn(FilesIn):
    """The contents of an image."""

    pip_requirements: list[LibraryRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    """The libraries to install, beside those of `files`."""
    package_requirements: list[PackageRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    """The OS packages to install."""
    python_version: Line = Field("", max_length=PYTHON_VERSION)
    """As `X.Y`; empty for the one that the files name, else the newest that the platform provides."""
    image_type: ImageType = ImageType.ALL
    """The use case of the base image."""
    allow_source: bool = False
    """Whether libraries without a wheel may be built from source, which runs their own build code."""
    indexes: list[Choice] = Field(default_factory=list, max_length=MAX_CHOICES, examples=[[]])
    """Names of explicit indexes from which any of the libraries may come, beside those that files name."""


class CreateImageIn(SpecIn):
    """A new image. It needs at least one library, file or OS package."""

    name: Line = Field(min_length=1, max_length=column_length(ManagedImage, "name"))
    """2 to 128 lower-case letters and digits, with single `-` or `_` between them. It cannot be changed."""


class AlterImageIn(Camel):
    """The fields to change; absent fields stay unchanged."""

    files: list[FileIn] | None = Field(None, max_length=MAX_FILES)
    """Files that say which libraries to install, in place of the present files and libraries."""
    groups: list[Choice] | None = Field(None, max_length=MAX_CHOICES, examples=[[]])
    """Dependency groups to take of the files, in place of the present groups."""
    extras: list[Choice] | None = Field(None, max_length=MAX_CHOICES, examples=[[]])
    """Extras to take of the files' project, in place of the present extras."""
    pip_requirements: list[LibraryRequirement] | None = Field(None, max_length=MAX_REQUIREMENTS)
    """The libraries to install beside those of `files`, in place of the present ones."""
    package_requirements: list[PackageRequirement] | None = Field(None, max_length=MAX_REQUIREMENTS)
    """The OS packages to install, in place of the present ones."""
    python_version: Line | None = Field(None, max_length=PYTHON_VERSION)
    """The Python version, as `X.Y`."""
    image_type: ImageType | None = None
    """The use case of the base image."""
    allow_source: bool | None = None
    """Whether libraries without a wheel may be built from source."""
    indexes: list[Choice] | None = Field(None, max_length=MAX_CHOICES, examples=[[]])
    """Names of explicit indexes from which any of the libraries may come, in place of the present ones."""
