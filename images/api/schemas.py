"""Schemas of images and builds. The names are the public client's, plus the platform's own fields."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from images.api.drift_schemas import DriftOut
from images.api.import_check_schemas import ImportCheckOut, ImportPolicyName
from images.api.job_schemas import Job
from images.api.problems import Problem
from images.api.spec_schemas import LibraryRequirement, PackageRequirement, RunTimeOut
from images.models import ImageType, InstalledLibrary, ManagedImage
from ri_platform.api import Camel, Line
from ri_platform.text import column_length


class ApiStatus(StrEnum):
    """An image's status; a failed or outdated rebuild keeps the last good image usable."""

    BUILDING_FIRST_TIME = "STATUS_BUILDING_FIRST_TIME"
    REBUILDING = "STATUS_REBUILDING"
    READY = "STATUS_READY"
    FAILED = "STATUS_FAILED"
    OUTDATED = "STATUS_OUTDATED"


class RollBackIn(Camel):
    """The build to go back to."""

    build: int = Field(ge=1, le=2_000_000_000)
    """The number of an earlier build that succeeded."""


class LibraryFilterIn(Camel):
    """A library that must be installed."""

    name: Line = Field(
        min_length=1, max_length=column_length(InstalledLibrary, "name"), examples=["pandas"]
    )
    """Its name, in any spelling (PEP 503)."""
    version: Line = Field("", max_length=column_length(InstalledLibrary, "version"))
    """The version, compared by PEP 440; empty for any."""


class PageIn(Camel):
    """The page to return."""

    page_token: str = Field("", max_length=20_000)
    """The `nextPageToken` of the previous page; empty for the first page."""
    page_size: int = Field(20, ge=1, le=200)
    """The largest number of images to return."""


class ImagesIn(PageIn):
    """The page to return, and the filters."""

    search: Line = Field("", max_length=column_length(ManagedImage, "name"), examples=["churn"])
    """A part of the name, or the start of an installed library's name. Set it for the first page only."""
    status: ApiStatus | None = None
    """Only images of this status. Set it for the first page only."""


class ListImagesIn(ImagesIn):
    """The page to return, and the filters."""

    pip_libraries: list[LibraryFilterIn] = Field(default_factory=list, max_length=50)
    """The libraries that must all be installed. Set them for the first page only; the token carries them."""


class BaseImagesIn(Camel):
    """The base images to return."""

    all: bool = False
    """Whether to include base images that are being prepared or failed."""


class ImageReference(Camel):
    """An image by name."""

    name: str = Field(examples=["all-python3.11"])
    """The image's name. For a base image, its type and Python version, or its source."""
    reference_type: (
        Literal[
            "REFERENCE_TYPE_MANAGED", "REFERENCE_TYPE_EXTERNAL_ECR", "REFERENCE_TYPE_EXTERNAL_GAR"
        ]
        | None
    ) = "REFERENCE_TYPE_MANAGED"
    """The kind of the name: an image of this registry, of another one in ECR, or one in Google Artifact
    Registry; absent for other sources."""


class PipLibrary(Camel):
    """An installed library."""

    name: str = Field(examples=["pandas"])
    """Its name."""
    version: str
    """Its version."""


class Step(Camel):
    """A phase of a build."""

    label: str = Field(examples=["Resolve"])
    """Its name."""
    state: str = Field(examples=["done"])
    """`waiting`, `running`, `done` or `failed`."""
    seconds: float | None = None
    """Seconds that it took, or has taken so far."""


class MissingLibrary(Camel):
    """A native library that an image needs and does not have, as the loader would find out when it runs."""

    soname: str = Field(examples=["libGL.so.1"])
    """The library's file name, as the loader looks for it."""
    versions: list[str] = Field(examples=[[]])
    """Versions of its symbols, if the image has the library without these: it takes a newer base image."""
    needed_by: str = Field(examples=["/opt/managed/lib/python3.11/site-packages/cv2/cv2.abi3.so"])
    """The path of a file that cannot be loaded without it."""
    requirement: str = Field(examples=["opencv-python"])
    """The Python library that brought this file."""
    packages: list[str] = Field(examples=[["libgl1"]])
    """OS packages of the image's distribution that have it, the likeliest first; empty if none is known."""


class FailedAttempt(Camel):
    """An attempt of a build that failed for a reason that may heal, and that was or will be repeated."""

    time: datetime = Field(validation_alias="at")
    """When it failed."""
    next_time: datetime = Field(validation_alias="again_at")
    """When the next attempt may begin."""
    reason: str = Field(validation_alias="code", examples=["registry_unavailable"])
    """A stable code."""
    message: str
    """The problem, as a sentence."""
    hint: str
    """The remedy; may be empty."""


class BuildOut(Camel):
    """One attempt to build an image. Sizes are in bytes, compressed."""

    number: int
    """The number of the build within its image. The tag in the registry is `build-<number>`."""
    state: str = Field(examples=["succeeded"])
    """`queued`, `running`, `succeeded`, `failed` or `cancelled`."""
    reason: str = Field(examples=["alter"])
    """The reason of the build: `create`, `rebuild`, `alter`, `roll_back` or `upgrade`."""
    base_image: str
    """The base image that it stands on, with its platform version."""
    creation_time: datetime
    """The time of the request."""
    start_time: datetime | None = None
    """The time when a worker started it."""
    completion_time: datetime | None = None
    """The time when it ended."""
    steps: list[Step]
    """Its phases in their order; they overlap."""
    digest: str
    """The digest of its manifest; empty unless it succeeded."""
    expected_digest: str
    """The digest that its image will have, or has; empty while something must be asked first."""
    size_bytes: int
    """The size of the image."""
    pushed_bytes: int
    """The number of bytes that were sent to the registry."""
    missing_libraries: list[MissingLibrary] = Field(default_factory=list)
    """The native libraries that its image lacks."""
    error: Problem | None = None
    """The reason why it failed."""
    failed_attempts: list[FailedAttempt] = Field(default_factory=list)
    """Attempts that failed because the package index or the registry did, and that were repeated."""


class OwnerOut(Camel):
    """The owners of an image beside Organization Administrators. Both fields may be absent."""

    user: str | None = Field(None, examples=["ada"])
    """The account that created it, if the account is active."""
    workspace: str | None = Field(None, examples=["Pricing"])
    """The workspace that it was created in. Its members, except viewers, may change the image, too."""


class ImageOut(Camel):
    """An image. Libraries, digest and size are those of its current build, if it has one."""

    name: str
    """Its name, which is its identity on the instance."""
    description: str = Field(examples=["Scores churn every night."])
    """A sentence for people; empty if there is none."""
    base_image: ImageReference
    """The base image that it is built on."""
    role_type: Literal["ROLE_TYPE_SYSTEM", "ROLE_TYPE_USER_DEFINED"]
    """`ROLE_TYPE_SYSTEM` for base images, `ROLE_TYPE_USER_DEFINED` for managed ones."""
    child_images: list[ImageReference]
    """For a base image, the managed images that are built on it, and then the base images that are."""
    rime_tag: str
    """The platform version of the base image."""
    repo_uri: str
    """The repository in the registry, with the registry's host."""
    status: ApiStatus
    """The status. A failed or outdated rebuild keeps the last good build usable."""
    package_requirements: list[PackageRequirement]
    """The OS packages that were asked for."""
    pip_requirements: list[LibraryRequirement]
    """The libraries that were asked for."""
    pip_libraries: list[PipLibrary]
    """The libraries that are installed."""
    python_version: str
    """The Python version, as `X.Y`."""
    image_type: ImageType
    """The use case of the base image."""
    rime_image_type: str = Field(examples=["BASE_IMAGE_TYPE_ALL"])
    """The same in the words of public clients before 2.0."""
    libc: str = Field(examples=["glibc 2.36"])
    """The C library of the base image, with its version, for which wheels are chosen; empty if not known."""
    machine: str = Field(examples=["x86_64"])
    """The machine that the base image is for; empty if not known."""
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
    import_policy: ImportPolicyName = Field(examples=["refuse"])
    """What becomes of imports that fail: `warn`, `refuse`, `off`; empty as the installation has it."""
    import_check: ImportCheckOut | None = None
    """The trial of the current build's imports, if there is one."""
    owner: OwnerOut | None = None
    """The owners of a managed image."""
    digest: str
    """The digest of the current build's manifest."""
    pull_reference: str
    """The reference to pull: the repository with the digest, so it always names the same image."""
    size_bytes: int
    """The compressed size in bytes."""
    current_build: int | None = None
    """The number of the current build."""
    error: Problem | None = None
    """The reason why a base image could not be made."""
    drift: DriftOut | None = None
    """What the registry lacks of it; absent if the last look found it whole."""
    creation_time: datetime
    """When it was created."""
    update_time: datetime
    """When it last changed."""


class TagOut(Camel):
    """A tag that moves from build to build."""

    name: str = Field(examples=["stable"])
    """`latest`, which follows the current build, or a channel."""
    build: int
    """The number of the build that it points at."""
    pushed: bool
    """Whether the registry has it there; it follows within a moment."""
    error: str = Field(examples=[""])
    """The reason why the registry does not have it there; empty if there is none."""


class ImageDetail(ImageOut):
    """An image with its newest build."""

    latest_build: BuildOut
    """The newest build, which may be another than the current one."""
    expected_digest: str
    """The digest that the image will have after it, or has; empty while something must be asked first."""
    tags: list[TagOut]
    """Its moving tags, by name. Empty for images of repositories that are older than these tags."""
    missing_libraries: list[MissingLibrary]
    """The native libraries that the current build lacks."""
    locked_by: str = Field(examples=["uv.lock"])
    """The file that is the complete lock; empty if libraries are resolved, or are locked one by one."""


class SetChannelIn(Camel):
    """The build that a channel is to point at."""

    build: int = Field(ge=1, le=2_000_000_000)
    """The number of a build that succeeded and is kept in the registry."""


class OneImage(Camel):
    """An image."""

    image: ImageDetail
    """The image."""


class ImageAndJob(Camel):
    """An image and its requested build."""

    image: ImageDetail
    """The image."""
    job: Job
    """The build as a job."""


class ImagesPage(Camel):
    """A page of images, by name."""

    images: list[ImageOut]
    """The images of this page."""
    next_page_token: str
    """The token of the next page. On the last page it equals the token of the request."""


class LogOut(Camel):
    """A piece of a build's log."""

    text: str = Field(examples=["Resolving 3 requirements\n"])
    """The log from the requested offset on."""
    offset: int
    """The offset of the next piece, in characters."""
    done: bool
    """Whether the log is complete, because the build has ended."""


class BaseImages(Camel):
    """The base images."""

    images: list[ImageOut]
    """By image type, the newest Python version first."""
