"""The server's answers as frozen dataclasses. Fields that a newer server adds are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from ri_platform_sdk.registry import Drift
from ri_platform_sdk.running import UNSET, ImportCheck, RunTime

T = TypeVar("T")


@dataclass(frozen=True)
class Library:
    """A library that is really installed in an image."""

    name: str
    version: str


@dataclass(frozen=True)
class Step:
    """A phase of a build; `state` is `waiting`, `running`, `done` or `failed`, `seconds` what it took."""

    label: str
    state: str
    seconds: float | None


@dataclass(frozen=True)
class MissingLibrary:
    """A native library that an image needs and does not have, such as `libGL.so.1`.

    `versions` are versions of its symbols, if it is there but too old. `needed_by` is the path of a file that
    cannot be loaded, `requirement` the library that brought it, and `packages` are OS packages that have the
    native library, the likeliest first.
    """

    soname: str
    versions: tuple[str, ...]
    needed_by: str
    requirement: str
    packages: tuple[str, ...]

    def __str__(self) -> str:
        versions = f" with {', '.join(self.versions)}" if self.versions else ""
        package = f"; add the OS package {self.packages[0]}" if self.packages else ""
        return f"{self.requirement} needs {self.soname}{versions}{package}"


@dataclass(frozen=True)
class Build:
    """One attempt to build an image. Sizes are in bytes, compressed; times are aware datetimes.

    `missing_libraries` are the native libraries that its image lacks. `expected_digest` is the digest that
    its image will have, or has; it is empty while something must be asked first.
    """

    number: int
    state: str
    reason: str
    base_image: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: tuple[Step, ...]
    digest: str
    size_bytes: int
    pushed_bytes: int
    error_reason: str
    error_message: str
    error_hint: str
    missing_libraries: tuple[MissingLibrary, ...] = ()
    expected_digest: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class Owner:
    """The account that may change an image, beside Organization Administrators.

    That is its creator, `user`, and the members of the workspace that it was created in; each is empty if it
    is gone.
    """

    user: str = ""
    workspace: str = ""

    def __str__(self) -> str:
        members = f"members of {self.workspace}" if self.workspace else ""
        return " and ".join(filter(None, (self.user, members))) or "Organization Administrators"


@dataclass(frozen=True)
class Image:
    """An image.

    `status` is `BUILDING_FIRST_TIME`, `REBUILDING`, `READY`, `FAILED` or `OUTDATED`. `digest`,
    `pull_reference` and `libraries` tell of its current build; `pull_reference` names that by digest, so it
    always pulls the same image. `indexes` are the explicit indexes from which any of its libraries may come,
    `allow_prereleases` says whether pre-releases count as releases. `libc` is the base image's C library,
    `glibc 2.36`, for which wheels are chosen. `locked_by` is the file that is its complete lock,
    `missing_libraries` are the native libraries that its current build lacks, `tags` has the builds that
    `latest` and channels point at. They and `latest_build` are known where one image was asked for.
    `import_check` tells whether its libraries can be imported; None if that was never tried. `drift` tells
    what the registry lacks of it; None if it was found whole. `expected_digest` is that of `latest_build`.
    """

    name: str
    status: str
    image_type: str
    python_version: str
    requirements: tuple[str, ...]
    package_requirements: tuple[str, ...]
    libraries: tuple[Library, ...]
    repository_uri: str
    digest: str
    pull_reference: str
    size_bytes: int
    current_build: int | None
    created_at: datetime
    updated_at: datetime
    latest_build: Build | None = None
    owner: Owner = Owner()
    indexes: tuple[str, ...] = ()
    locked_by: str = ""
    allow_prereleases: bool = False
    missing_libraries: tuple[MissingLibrary, ...] = ()
    libc: str = ""
    import_policy: str = ""
    import_check: ImportCheck | None = None
    run_time: RunTime = UNSET
    description: str = ""
    tags: Mapping[str, int] = field(default_factory=dict)
    drift: Drift | None = None
    expected_digest: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether its newest build is there to be pulled."""
        return self.status == "READY"

    @property
    def is_building(self) -> bool:
        """Whether a build of it is under way."""
        return self.status in ("BUILDING_FIRST_TIME", "REBUILDING")


@dataclass(frozen=True)
class Missing:
    """A requirement that an image does not meet; `installed` is the version it has, if any."""

    requirement: str
    installed: str


@dataclass(frozen=True)
class Match:
    """An image, and what of the requirements it lacks."""

    image: Image
    satisfies: bool
    library_count: int
    missing: tuple[Missing, ...]


@dataclass(frozen=True)
class LogPiece:
    """A piece of a build's log; ask for more after `offset` until `done`."""

    text: str
    offset: int
    done: bool


@dataclass(frozen=True)
class Identity:
    """The token and its account. `role` is the account's, not that in the workspace."""

    user_name: str
    email: str
    role: str
    workspace_id: str
    workspace_name: str
    token_id: str
    token_name: str
    expires_at: datetime


@dataclass(frozen=True)
class Instance:
    """An instance. A removed image can be restored for `removal_grace_hours`; `sdk_path` is the path of the
    wheel that the instance serves.
    """

    version: str
    removal_grace_hours: int
    sdk_path: str


@dataclass(frozen=True)
class Change:
    """A library or package that differs; `before` or `after` is empty where it is not there."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Changes:
    """The differences between two sets of libraries or packages; `same` counts the equal ones."""

    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    changed: tuple[Change, ...]
    same: int


@dataclass(frozen=True)
class Alteration:
    """A proposed alteration of an image. `state` is `queued`, `running`, `succeeded` (it can be built) or
    `failed`; `changes` is known once it succeeded.
    """

    id: int
    image_name: str
    state: str
    changes: Changes | None
    requirements: tuple[str, ...]
    package_requirements: tuple[str, ...]
    python_version: str
    image_type: str
    base_image: str
    error_reason: str
    error_message: str
    error_hint: str
    run_time: RunTime = UNSET


@dataclass(frozen=True)
class Revision:
    """A build that succeeded, as one side of a comparison."""

    image_name: str
    build: int
    digest: str
    base_image: str
    python_version: str
    size_bytes: int
    requirements: tuple[str, ...]
    package_requirements: tuple[str, ...]
    run_time: RunTime = UNSET


@dataclass(frozen=True)
class Comparison:
    """Two revisions beside each other."""

    left: Revision
    right: Revision
    libraries: Changes
    os_packages: Changes


@dataclass(frozen=True)
class RemovedImage:
    """An image that was removed; `deleted_at` is when it can be restored no more."""

    name: str
    removed_by: str
    removed_at: datetime
    deleted_at: datetime | None
    restorable: bool


@dataclass(frozen=True)
class AuditEvent:
    """A change that somebody made. Names are as they were then; `user_name` is empty for the platform itself,
    `token_name` for the console.
    """

    id: int
    event: str
    at: datetime
    user_name: str
    role: str
    token_name: str
    address: str
    object_type: str
    object_name: str
    workspace_name: str
    details: dict[str, Any]


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list, and the token for the next ones; on the last page it is the one that was asked with."""

    items: tuple[T, ...]
    next_token: str
