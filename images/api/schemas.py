"""What the image endpoints take and give. The names are the original client's, plus our own fields."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from images.api.file_schemas import MAX_CHOICES, Choice, FileIn, FilesIn
from images.models import ImageType, InstalledLibrary, ManagedImage
from images.requirement_files.limits import MAX_FILES
from images.requirements import MAX_LINE, MAX_REQUIREMENTS
from ri_platform.api import Camel, Line
from ri_platform.text import column_length

PYTHON_VERSION = column_length(ManagedImage, "python_version")


class ApiStatus(StrEnum):
    """An image's status; a failed or outdated rebuild keeps the last good image usable."""

    BUILDING_FIRST_TIME = "STATUS_BUILDING_FIRST_TIME"
    REBUILDING = "STATUS_REBUILDING"
    READY = "STATUS_READY"
    FAILED = "STATUS_FAILED"
    OUTDATED = "STATUS_OUTDATED"


class PipRequirement(Camel):
    """A library that is asked for."""

    name: Line = Field(min_length=1, max_length=MAX_LINE, examples=["pandas"])
    """The library's name, with extras in brackets where they are wanted."""
    version_specifier: Line = Field("", max_length=MAX_LINE, examples=[">=2,<3"])
    """PEP 440, or a bare version, which means `==`; empty for any version."""


class PackageRequirement(Camel):
    """A package of the base image's operating system."""

    name: Line = Field(min_length=1, max_length=MAX_LINE, examples=["libgomp1"])
    """The package's name, as its system knows it."""
    version_specifier: Line = Field("", max_length=MAX_LINE)
    """The version, bare or after `==`; empty for any."""
    package_type: Literal[
        "PACKAGE_TYPE_UNSPECIFIED", "PACKAGE_TYPE_APT", "PACKAGE_TYPE_ROCKYLINUX"
    ] = "PACKAGE_TYPE_UNSPECIFIED"
    """Taken from clients whatever it says; the base image's system decides."""


def pairs(items: Iterable[PipRequirement | PackageRequirement]) -> list[tuple[str, str]]:
    """As `images.requirements` takes them."""
    return [(item.name, item.version_specifier) for item in items]


class SpecIn(FilesIn):
    """What an image is to contain."""

    pip_requirements: list[PipRequirement] = Field(
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


class CreateImageIn(SpecIn):
    """A new image. It needs at least one library, file or OS package."""

    name: Line = Field(min_length=1, max_length=column_length(ManagedImage, "name"))
    """2 to 128 lower-case letters and digits, with single `-` or `_` between them. It cannot be changed."""


class AlterImageIn(Camel):
    """What is left out stays as it is."""

    files: list[FileIn] | None = Field(None, max_length=MAX_FILES)
    """Files that say which libraries to install, in place of the present files and libraries."""
    groups: list[Choice] | None = Field(None, max_length=MAX_CHOICES, examples=[[]])
    """Dependency groups to take of the files, in place of the present groups."""
    extras: list[Choice] | None = Field(None, max_length=MAX_CHOICES, examples=[[]])
    """Extras to take of the files' project, in place of the present extras."""
    pip_requirements: list[PipRequirement] | None = Field(None, max_length=MAX_REQUIREMENTS)
    """The libraries to install beside those of `files`, in place of the present ones."""
    package_requirements: list[PackageRequirement] | None = Field(None, max_length=MAX_REQUIREMENTS)
    """The OS packages to install, in place of the present ones."""
    python_version: Line | None = Field(None, max_length=PYTHON_VERSION)
    """As `X.Y`."""
    image_type: ImageType | None = None
    """The use case of the base image."""
    allow_source: bool | None = None
    """Whether libraries without a wheel may be built from source."""


class RollBackIn(Camel):
    """Which build to go back to."""

    build: int = Field(ge=1, le=2_000_000_000)
    """The number of an earlier build that succeeded."""


class LibraryFilterIn(Camel):
    """A library that must be installed."""

    name: Line = Field(
        min_length=1, max_length=column_length(InstalledLibrary, "name"), examples=["pandas"]
    )
    """Its name, in any spelling (PEP 503)."""
    version: Line = Field("", max_length=column_length(InstalledLibrary, "version"))
    """The version, as PEP 440 compares; empty for any."""


class PageIn(Camel):
    """Which page."""

    page_token: str = Field("", max_length=20_000)
    """The `nextPageToken` of the former page; empty for the first."""
    page_size: int = Field(20, ge=1, le=200)
    """At most so many images."""


class ImagesIn(PageIn):
    """Which page, and which images."""

    search: Line = Field("", max_length=column_length(ManagedImage, "name"), examples=["churn"])
    """A part of the name, or how the name of an installed library begins. It counts with the first page."""
    status: ApiStatus | None = None
    """Images of this status alone. It counts with the first page."""


class ListImagesIn(ImagesIn):
    """Which page, and which images."""

    pip_libraries: list[LibraryFilterIn] = Field(default_factory=list, max_length=50)
    """All of them must be installed. They count with the first page; the token carries them on."""


class BaseImagesIn(Camel):
    """Which base images."""

    all: bool = False
    """Also those that are still being prepared, or could not be."""


class ImageReference(Camel):
    """An image by name."""

    name: str = Field(examples=["all-python3.11"])
    """The image's name; of a base image its type and Python version, or where it comes from."""
    reference_type: Literal["REFERENCE_TYPE_MANAGED"] = "REFERENCE_TYPE_MANAGED"
    """The kind of the name."""


class PipLibrary(Camel):
    """A library that is really installed."""

    name: str = Field(examples=["pandas"])
    """Its name."""
    version: str
    """Its version."""


class Problem(Camel):
    """Why work failed."""

    reason: str = Field(examples=["resolution_failed"])
    """A stable code."""
    message: str
    """What is wrong, as a sentence."""
    hint: str
    """What to do; may be empty."""


class Step(Camel):
    """A phase of a build."""

    label: str = Field(examples=["Resolve"])
    """Its name."""
    state: str = Field(examples=["done"])
    """`waiting`, `running`, `done` or `failed`."""
    seconds: float | None = None
    """How long it took, or has been taking."""


class BuildOut(Camel):
    """One attempt to build an image. Sizes are in bytes, compressed."""

    number: int
    """Counts within the image; the tag in the registry is `build-<number>`."""
    state: str = Field(examples=["succeeded"])
    """`queued`, `running`, `succeeded`, `failed` or `cancelled`."""
    reason: str = Field(examples=["alter"])
    """Why it was asked for: `create`, `rebuild`, `alter`, `roll_back` or `upgrade`."""
    base_image: str
    """The base image that it stands on, with its platform version."""
    creation_time: datetime
    """When it was asked for."""
    start_time: datetime | None = None
    """When a worker began."""
    completion_time: datetime | None = None
    """When it ended."""
    steps: list[Step]
    """Its phases in their order; they overlap."""
    digest: str
    """The digest of its manifest; empty unless it succeeded."""
    size_bytes: int
    """The size of the image."""
    pushed_bytes: int
    """How much of it had to be sent to the registry."""
    error: Problem | None = None
    """Why it failed."""


class OwnerOut(Camel):
    """Who may change an image, beside Organization Administrators. Without either, they alone may."""

    user: str | None = Field(None, examples=["ada"])
    """The account that created it, as long as that is active."""
    workspace: str | None = Field(None, examples=["Pricing"])
    """The workspace that it was created in, whose members may, too, but for viewers."""


class ImageOut(Camel):
    """An image. What it has is that of its current build, if it has one."""

    name: str
    """Its name, which is its identity on the instance."""
    base_image: ImageReference
    """The base image that it is built on."""
    role_type: Literal["ROLE_TYPE_SYSTEM", "ROLE_TYPE_USER_DEFINED"]
    """`ROLE_TYPE_SYSTEM` for base images, `ROLE_TYPE_USER_DEFINED` for managed ones."""
    child_images: list[ImageReference]
    """Of a base image, the managed images that stand on it."""
    rime_tag: str
    """The platform version of the base image."""
    repo_uri: str
    """The repository in the registry, with the registry's host."""
    status: ApiStatus
    """How it is. A failed or outdated rebuild keeps the last good build usable."""
    package_requirements: list[PackageRequirement]
    """The OS packages that were asked for."""
    pip_requirements: list[PipRequirement]
    """The libraries that were asked for."""
    pip_libraries: list[PipLibrary]
    """The libraries that are installed."""
    python_version: str
    """The Python version, as `X.Y`."""
    image_type: ImageType
    """The use case of the base image."""
    allow_source: bool
    """Whether libraries without a wheel may be built from source."""
    owner: OwnerOut | None = None
    """Who may change it, of a managed image."""
    digest: str
    """The digest of the current build's manifest."""
    pull_reference: str
    """What to pull: the repository with the digest, so it is always the same image."""
    size_bytes: int
    """The compressed size in bytes."""
    current_build: int | None = None
    """The number of the current build."""
    error: Problem | None = None
    """Why a base image could not be made."""
    creation_time: datetime
    """When it was created."""
    update_time: datetime
    """When it last changed."""


class ImageDetail(ImageOut):
    """An image with its newest build."""

    latest_build: BuildOut
    """The newest build, which may be another than the current one."""


class Job(Camel):
    """The build that was asked for, as the original's job."""

    job_id: str
    """The job's identifier."""
    job_type: Literal["JOB_TYPE_IMAGE_BUILDER"] = "JOB_TYPE_IMAGE_BUILDER"
    """Always that of building an image."""
    status: Literal["JOB_STATUS_PENDING"] = "JOB_STATUS_PENDING"
    """Always pending: the build begins in the background."""
    creation_time: datetime
    """When it was asked for."""


class OneImage(Camel):
    """An image."""

    image: ImageDetail
    """The image."""


class ImageAndJob(Camel):
    """An image whose build was just asked for."""

    image: ImageDetail
    """The image."""
    job: Job
    """The build as a job."""


class ImagesPage(Camel):
    """A page of images, by name."""

    images: list[ImageOut]
    """The images of this page."""
    next_page_token: str
    """Asks for the next page. On the last page it is the token that was asked with."""


class LogOut(Camel):
    """A piece of a build's log."""

    text: str = Field(examples=["Resolving 3 requirements\n"])
    """What the log holds from the offset that was asked for."""
    offset: int
    """Where the next piece begins, in characters."""
    done: bool
    """Whether the build has ended, so that nothing comes any more."""


class BaseImages(Camel):
    """The base images."""

    images: list[ImageOut]
    """By image type, the newest Python version first."""
