"""What the server tells, as frozen dataclasses. Fields that a newer server adds are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

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
class Build:
    """One attempt to build an image. Sizes are in bytes, compressed; times are aware datetimes."""

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

    @property
    def is_active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class Owner:
    """Who may change an image, beside Organization Administrators.

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
    always pulls the same image. `indexes` are the explicit indexes from which any of its libraries may come.
    `locked_by` is the file that is its complete lock. It and `latest_build` are known where one image was
    asked for.
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
class Model:
    """A model in a workspace. `image` is what it runs on, `next_image` what it waits for, each as people call
    it; empty where there is none.
    """

    id: str
    name: str
    description: str
    python_version: str
    requirements: str
    image: str
    next_image: str


@dataclass(frozen=True)
class ModelImage:
    """What to pull to run a model. `digest` is empty for an external image that is referred to by tag;
    `image` and `build` are of a managed image, `pull_secret` of an external one.
    """

    reference: str
    digest: str
    pull_secret: str
    image: str
    build: int | None


@dataclass(frozen=True)
class LogPiece:
    """A piece of a build's log; ask for more after `offset` until `done`."""

    text: str
    offset: int
    done: bool


@dataclass(frozen=True)
class Identity:
    """Who asks: the token's user, and what the token is. `role` is of the account, not of the workspace."""

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
    """What differs between two sets of libraries or packages; `same` counts what does not."""

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
