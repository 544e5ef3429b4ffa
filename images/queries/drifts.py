"""Drift as pages tell it: what the registry lacks of an image, and what becomes of that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from images.models import Build, Drift, Verification
from images.models.lease import WorkState


@dataclass(frozen=True)
class DriftNotice:
    """`brief` stands in lists; `title` and `text` on pages. `is_moving`: the platform is at it."""

    name: str
    brief: str
    title: str
    text: str
    findings: tuple[str, ...]
    reason: str
    is_moving: bool = False
    is_hopeless: bool = False
    attempts: int = 0
    next_attempt_at: datetime | None = None

    @classmethod
    def of(cls, drift: Drift) -> DriftNotice:
        findings = tuple(drift.said)
        reason = f"{drift.error_message} {drift.error_hint}".strip()
        if drift.is_hopeless:
            return cls(
                drift.name,
                "Lost in the registry",
                "The registry lost this image, and it cannot be pushed again as it was",
                "Containers that already have it go on; a new pull fails or is incomplete. "
                "A rebuild makes a new image of the same requirements.",
                findings,
                reason,
                is_hopeless=True,
            )
        if not settings.HEAL_DRIFT:
            return cls(
                drift.name,
                "Not whole in the registry",
                "The registry does not hold this image as it was built",
                "Repair is turned off here (RI_HEAL_DRIFT). A rebuild makes a new image.",
                findings,
                reason,
            )
        if reason and drift.state == WorkState.QUEUED:
            return cls(
                drift.name,
                "Not whole in the registry",
                "The registry does not hold this image as it was built",
                "It is pushed again, with the same digest, as soon as that is possible.",
                findings,
                reason,
                attempts=drift.attempts,
                next_attempt_at=drift.due_at,
            )
        return cls(
            drift.name,
            "Being pushed again",
            "This image is being pushed again",
            "The registry did not hold it as it was built. Its digest stays the same.",
            findings,
            "",
            is_moving=True,
        )


def drifts_by_build(builds: Iterable[int | None]) -> dict[int, DriftNotice]:
    """The open drifts of builds by their keys, in one query."""
    keys = {key for key in builds if key is not None}
    if not keys:
        return {}
    found = (
        Drift.objects.open()
        .filter(build__in=keys)
        .select_related("build__image")
        .defer("build__lock")
    )
    return {drift.build_id: DriftNotice.of(drift) for drift in found if drift.build_id}


def drift_of(build: Build | None) -> DriftNotice | None:
    """The open drift of a build, if there is one."""
    return drifts_by_build([build.pk]).get(build.pk) if build else None


def open_drifts(limit: int) -> list[DriftNotice]:
    """All open drifts, of base images as well, the oldest first."""
    found = Drift.objects.open().select_related("build__image", "base_image").order_by("pk")
    return [DriftNotice.of(drift) for drift in found[:limit]]


def last_verifications() -> tuple[Verification | None, Verification | None]:
    """The one that is under way, and the last that came to its end."""
    found = Verification.objects.defer("more_names")
    ended = found.filter(state=WorkState.SUCCEEDED).order_by("-finished_at").first()
    return found.active().first(), ended
