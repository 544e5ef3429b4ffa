"""What the image endpoints take and give. The names are the original client's, plus our own fields."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from images.models import ImageType
from images.requirements import MAX_REQUIREMENTS
from ri_platform.api import Camel, Text


class ApiStatus(StrEnum):
    """An image's status; a failed or outdated rebuild keeps the last good image usable."""

    BUILDING_FIRST_TIME = "STATUS_BUILDING_FIRST_TIME"
    REBUILDING = "STATUS_REBUILDING"
    READY = "STATUS_READY"
    FAILED = "STATUS_FAILED"
    OUTDATED = "STATUS_OUTDATED"


class PipRequirement(Camel):
    """A library; `versionSpecifier` is PEP 440, or a bare version, which means `==`."""

    name: Text
    version_specifier: Text = ""


class PackageRequirement(Camel):
    """A package of the base image's operating system, whatever type a client names."""

    name: Text
    version_specifier: Text = ""
    package_type: Literal[
        "PACKAGE_TYPE_UNSPECIFIED", "PACKAGE_TYPE_APT", "PACKAGE_TYPE_ROCKYLINUX"
    ] = "PACKAGE_TYPE_UNSPECIFIED"


class SpecIn(Camel):
    pip_requirements: list[PipRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    package_requirements: list[PackageRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    python_version: Text = ""
    image_type: ImageType = ImageType.ALL
    allow_source: bool = False


class CreateImageIn(SpecIn):
    """Without a Python version the newest is taken that the platform provides for the image type."""

    name: Text


class AlterImageIn(Camel):
    """What is left out stays as it is."""

    pip_requirements: list[PipRequirement] | None = Field(None, max_length=MAX_REQUIREMENTS)
    package_requirements: list[PackageRequirement] | None = Field(None, max_length=MAX_REQUIREMENTS)
    python_version: Text | None = None
    image_type: ImageType | None = None
    allow_source: bool | None = None


class RollBackIn(Camel):
    """The number of an earlier build that succeeded."""

    build: int = Field(ge=1, le=2_000_000_000)


class LibraryFilterIn(Camel):
    name: Text
    version: Text = ""


class PageIn(Camel):
    """Without a token, the first page."""

    page_token: str = Field("", max_length=20_000)
    page_size: int = Field(20, ge=1, le=200)


class ListImagesIn(PageIn):
    """The filters count with the first page only; the token carries them."""

    pip_libraries: list[LibraryFilterIn] = Field(default_factory=list, max_length=50)


class MatchIn(Camel):
    """Without an image type or a Python version, images of any are looked at."""

    pip_requirements: list[PipRequirement] = Field(min_length=1, max_length=MAX_REQUIREMENTS)
    package_requirements: list[PackageRequirement] = Field(
        default_factory=list, max_length=MAX_REQUIREMENTS
    )
    python_version: Text = ""
    image_type: ImageType | None = None
    limit: int = Field(20, ge=1, le=100)


class ImageReference(Camel):
    name: str
    reference_type: Literal["REFERENCE_TYPE_MANAGED"] = "REFERENCE_TYPE_MANAGED"


class PipLibrary(Camel):
    """A library that is really installed."""

    name: str
    version: str


class Problem(Camel):
    """Why a build failed: a stable reason, a sentence, and what to do."""

    reason: str
    message: str
    hint: str


class Step(Camel):
    """A phase of a build; `state` is waiting, running, done or failed."""

    label: str
    state: str
    seconds: float | None = None


class BuildOut(Camel):
    """One attempt to build an image. Sizes are in bytes, compressed."""

    number: int
    state: str
    reason: str
    base_image: str
    creation_time: datetime
    start_time: datetime | None = None
    completion_time: datetime | None = None
    steps: list[Step]
    digest: str
    size_bytes: int
    pushed_bytes: int
    error: Problem | None = None


class ImageOut(Camel):
    """An image. `digest`, `pullReference` and `pipLibraries` tell of its current build, if it has one."""

    name: str
    base_image: ImageReference
    role_type: Literal["ROLE_TYPE_SYSTEM", "ROLE_TYPE_USER_DEFINED"]
    child_images: list[ImageReference]
    rime_tag: str
    repo_uri: str
    status: ApiStatus
    package_requirements: list[PackageRequirement]
    pip_requirements: list[PipRequirement]
    pip_libraries: list[PipLibrary]
    python_version: str
    image_type: ImageType
    allow_source: bool
    digest: str
    pull_reference: str
    size_bytes: int
    current_build: int | None = None
    creation_time: datetime
    update_time: datetime


class ImageDetail(ImageOut):
    """An image with its newest build, which may be another than the current one."""

    latest_build: BuildOut


class Job(Camel):
    """The build that was asked for, as the original's job."""

    job_id: str
    job_type: Literal["JOB_TYPE_IMAGE_BUILDER"] = "JOB_TYPE_IMAGE_BUILDER"
    status: Literal["JOB_STATUS_PENDING"] = "JOB_STATUS_PENDING"
    creation_time: datetime


class OneImage(Camel):
    image: ImageDetail


class ImageAndJob(Camel):
    image: ImageDetail
    job: Job


class ImagesPage(Camel):
    """The last page's token is the one that was asked with."""

    images: list[ImageOut]
    next_page_token: str


class LogOut(Camel):
    """A piece of a build's log. Ask for more after `offset` (characters) until `done`."""

    text: str
    offset: int
    done: bool


class BaseImages(Camel):
    images: list[ImageOut]


class MissingOut(Camel):
    """A requirement that the image does not meet, and the version it has installed, if any."""

    requirement: str
    installed: str


class MatchOut(Camel):
    image: ImageOut
    satisfies: bool
    library_count: int
    missing: list[MissingOut]


class Matches(Camel):
    matches: list[MatchOut]
