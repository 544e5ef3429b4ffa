"""Values about the registry: what it lacks of images, and repositories in it that no record knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Drift:
    """What the registry lacks of an image that was there.

    `state` is `healing` while it is pushed again with the same digest, `waiting` for the next attempt of
    that, `lost` if it takes a rebuild, `not_healed` where repair is off, or where only people can put it
    right. `codes` are stable, `findings` are sentences; the error says why it is not healed. `name`,
    `is_base` and `build` are known in `Client.list_drifts`, where a base image's name has its version.
    """

    state: str
    message: str
    hint: str
    codes: tuple[str, ...]
    findings: tuple[str, ...]
    found_at: datetime
    error_reason: str = ""
    error_message: str = ""
    error_hint: str = ""
    attempts: int = 0
    next_attempt_at: datetime | None = None
    name: str = ""
    is_base: bool = False
    build: int | None = None

    @property
    def is_healing(self) -> bool:
        """Whether the platform is at it."""
        return self.state == "healing"


@dataclass(frozen=True)
class UnknownRepository:
    """A repository that no record knows, or with builds that no record knows (`known_image`).

    `builds` are their numbers, the latest first. `decision` is `adopt` or `delete` while a worker is at it,
    else empty; the error says why that failed.
    """

    name: str
    known_image: bool
    builds: tuple[int, ...]
    size_bytes: int
    pushed_at: datetime | None
    found_at: datetime
    decision: str = ""
    error_reason: str = ""
    error_message: str = ""
    error_hint: str = ""
