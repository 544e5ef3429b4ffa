"""Schemas of drift: what the registry lacks of an image, and what becomes of that."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from images.api.problems import Problem, problem
from images.models import FindingCode
from images.queries.drifts import DriftNotice, DriftState
from ri_platform.api import Camel


class DriftOut(Camel):
    """What the registry lacks of an image that was there."""

    state: DriftState
    """`healing` while it is pushed again, with the same digest; `waiting` for the next attempt of that;
    `lost` if it cannot be made again as it was, and takes a rebuild; `not_healed` where repair is off, or
    where only people can put it right (`tag_moved`)."""
    message: str = Field(examples=["This image is being pushed again"])
    """The state in words."""
    hint: str = Field(examples=["Its digest stays the same."])
    """What it means for those who use the image."""
    codes: list[FindingCode] = Field(examples=[["repository_missing"]])
    """What was found, as stable codes."""
    findings: list[str] = Field(
        examples=[["The repository rime-managed-images/churn of build 3 of churn is gone."]]
    )
    """What was found, as sentences."""
    error: Problem | None = None
    """The reason why it is not healed yet, or cannot be."""
    attempts: int
    """How often it was tried to push it again."""
    next_attempt_time: datetime | None = None
    """When the next attempt begins, if it waits for that."""
    discovery_time: datetime
    """When it was found."""


class ListedDrift(DriftOut):
    """A drift with the image that it is of."""

    name: str = Field(examples=["churn"])
    """The image's name, or a base image with its platform version."""
    role_type: Literal["ROLE_TYPE_SYSTEM", "ROLE_TYPE_USER_DEFINED"]
    """`ROLE_TYPE_SYSTEM` for a base image."""
    build: int | None = None
    """The number of the build of a managed image, which need not be the current one."""
    digest: str
    """The digest of the manifest."""


def drift(notice: DriftNotice) -> dict[str, Any]:
    row = notice.drift
    return {
        "state": notice.state,
        "message": notice.title,
        "hint": notice.text,
        "codes": row.codes,
        "findings": row.said,
        "error": problem(row) if notice.reason else None,
        "attempts": notice.attempts,
        "next_attempt_time": notice.next_attempt_at,
        "discovery_time": row.created_at,
    }


def listed_drift(notice: DriftNotice) -> dict[str, Any]:
    row = notice.drift
    thing = row.build or row.base_image
    return {
        **drift(notice),
        "name": row.name,
        "role_type": "ROLE_TYPE_USER_DEFINED" if row.build else "ROLE_TYPE_SYSTEM",
        "build": row.build.number if row.build else None,
        "digest": thing.manifest_digest if thing else "",
    }
