"""Schemas of an image's spec in requests: libraries, OS packages, image type and Python version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from images.api.file_schemas import MAX_CHOICES, Choice, FileIn, FilesIn
from images.api.image_types import AnyImageType
from images.api.import_check_schemas import ImportPolicyName
from images.models import ImageType, ManagedImage
from images.requirement_files.limits import MAX_FILES
from images.requirements import MAX_HASHES, MAX_INDEX, MAX_LINE, MAX_REQUIREMENTS, NamedItem
from images.run_time import checks
from ri_platform.api import Camel, Line
from ri_platform.text import column_length

PYTHON_VERSION = column_length(ManagedImage, "python_version")

Setting = Annotated[Line, StringConstraints(max_length=checks.MAX_NAME)]
Value = Annotated[Line, StringConstraints(max_length=checks.MAX_VALUE)]
Hash = Annotated[Line, StringConstraints(max_length=80)]


class PipRequirement(Camel):
    """A library to install."""

    name: Line = Field(min_length=1, max_length=MAX_LINE, examples=["pandas"])
    """The library's name, optionally with extras in brackets."""
    version_specifier: Line = Field("", max_length=MAX_LINE, examples=[">=2,<3"])
    """PEP 440, or a bare version, which means `==`; empty for any version."""


class LibraryRequirement(PipRequirement):
    """A library to install, with its index and hashes."""

    index: Line = Field("", max_length=MAX_INDEX, examples=[""])
    """The name of the index that it must come from; if empty, the operator's rules decide."""
    hashes: list[Hash] = Field(default_factory=list, max_length=MAX_HASHES, examples=[[]])
    """The installed file has one of these (`sha256:…`). If every library has one version and hashes, they
    are a complete lock: nothing is resolved, and each file is installed as it is locked."""


class PackageRequirement(Camel):
    """A package of the base image's operating system."""

    name: Line = Field(min_length=1, max_length=MAX_LINE, examples=["libgomp1"])
    """The package's name in the operating system."""
    version_specifier: Line = Field("", max_length=MAX_LINE)
    """The version, bare or after `==`; empty for any."""
    package_type: (
        Literal["PACKAGE_TYPE_UNSPECIFIED", "PACKAGE_TYPE_APT", "PACKAGE_TYPE_ROCKYLINUX"] | None
    ) = Field(None, examples=["PACKAGE_TYPE_APT"])
    """That of the base image's system; absent until that is known. In requests it is accepted and ignored."""


def named_items(items: Iterable[PipRequirement | PackageRequirement]) -> list[NamedItem]:
    """The libraries or packages of a request as values of `images.requirements`."""
    return [
        NamedItem(item.name, item.version_specifier, item.index, tuple(item.hashes))
        if isinstance(item, LibraryRequirement)
        else NamedItem(item.name, item.version_specifier)
        for item in items
    ]


class RunTimeIn(Camel):
    """Settings that a container of the image starts with. Absent ones stay unchanged; empty ones leave the
    base image's. Everybody who can pull the image reads them, so secrets are refused."""

    env: dict[Setting, Value] | None = Field(None, examples=[{"OMP_NUM_THREADS": "4"}])
    """Environment variables, in place of the present ones."""
    working_dir: Line | None = Field(None, max_length=checks.MAX_PATH, examples=["/app"])
    """The working folder, as an absolute path."""
    user: Line | None = Field(None, max_length=checks.MAX_USER, examples=["1000:1000"])
    """The user: a name that the base image has or a number, optionally with a group."""
    entrypoint: list[Value] | None = Field(
        None, max_length=checks.MAX_WORDS, examples=[["python", "-m", "serve"]]
    )
    """The entry point as words; the base image's command goes with the base image's entry point."""
    labels: dict[Setting, Value] | None = Field(None, examples=[{"com.example.team": "pricing"}])
    """Labels, in place of the present ones. Those of OCI, Docker and the platform are reserved."""


class RunTimeOut(Camel):
    """Settings that a container of the image starts with, beside the base image's."""

    env: dict[str, str] = Field(examples=[{"OMP_NUM_THREADS": "4"}])
    """Environment variables."""
    working_dir: str = Field(examples=["/app"])
    """The working folder."""
    user: str = Field(examples=["1000:1000"])
    """The user, optionally with a group."""
    entrypoint: list[str] = Field(examples=[["python", "-m", "serve"]])
    """The entry point as words."""
    labels: dict[str, str] = Field(examples=[{"com.example.team": "pricing"}])
    """Labels."""


class SpecIn(FilesIn):
    """The contents of an image."""

    pip_requirements: list[LibraryRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    """The libraries to install, beside those of `files`; beside a complete lock there may be none."""
    package_requirements: list[PackageRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    """The OS packages to install."""
    python_version: Line = Field("", max_length=PYTHON_VERSION)
    """As `X.Y`; empty for the one that the files name, else the newest that the platform provides."""
    image_type: AnyImageType = ImageType.ALL
    """The use case of the base image, also in the words of public clients before 2.0."""
    allow_source: bool = False
    """Whether libraries without a wheel may be built from source, which runs their own build code."""
    indexes: list[Choice] = Field(default_factory=list, max_length=MAX_CHOICES, examples=[[]])
    """Names of explicit indexes from which any of the libraries may come, beside those that files name."""
    allow_prereleases: bool = False
    """Whether pre-releases count as releases, for all libraries; `--pre` in a file says so, too."""


class CreateImageIn(SpecIn):
    """A new image. It needs at least one library, file or OS package."""

    run_time: RunTimeIn | None = None
    """Settings that a container of the image starts with."""
    description: Line = Field("", max_length=column_length(ManagedImage, "description"))
    """A sentence for people."""
    name: Line = Field(min_length=1, max_length=column_length(ManagedImage, "name"))
    """2 to 128 lower-case letters and digits, with single `-` or `_` between them. It cannot be changed."""
    import_policy: ImportPolicyName = ""
    """What becomes of imports that fail: `warn` tells of them, `refuse` fails the build, `off` tries none.
    Empty: as the installation has it."""


class DescribeImageIn(Camel):
    """A description of an image."""

    description: Line = Field(
        max_length=column_length(ManagedImage, "description"),
        examples=["Scores churn every night."],
    )
    """A sentence for people; empty for none."""


class AlterImageIn(Camel):
    """The fields to change; absent fields stay unchanged."""

    files: list[FileIn] | None = Field(None, max_length=MAX_FILES)
    """The requirement files, in place of the present files and libraries."""
    groups: list[Choice] | None = Field(None, max_length=MAX_CHOICES, examples=[[]])
    """Dependency groups to take from the files, in place of the present groups."""
    extras: list[Choice] | None = Field(None, max_length=MAX_CHOICES, examples=[[]])
    """Extras to take from the files' project, in place of the present extras."""
    pip_requirements: list[LibraryRequirement] | None = Field(None, max_length=MAX_REQUIREMENTS)
    """The libraries to install beside those of `files`, in place of the present ones; beside a complete lock
    there may be none."""
    package_requirements: list[PackageRequirement] | None = Field(None, max_length=MAX_REQUIREMENTS)
    """The OS packages to install, in place of the present ones."""
    python_version: Line | None = Field(None, max_length=PYTHON_VERSION)
    """The Python version, as `X.Y`."""
    image_type: AnyImageType | None = None
    """The use case of the base image, also in the words of public clients before 2.0."""
    allow_source: bool | None = None
    """Whether libraries without a wheel may be built from source."""
    indexes: list[Choice] | None = Field(None, max_length=MAX_CHOICES, examples=[[]])
    """Names of explicit indexes from which any of the libraries may come, in place of the present ones.
    What the present files name goes with them."""
    allow_prereleases: bool | None = None
    """Whether pre-releases count as releases, for all libraries; `--pre` in a file says so, too."""
    run_time: RunTimeIn | None = None
    """Settings that a container of the image starts with. If nothing else changes, nothing is resolved."""
