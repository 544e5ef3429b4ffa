"""Drift as pages tell it: what the registry lacks of an image, and what becomes of that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.db.models import QuerySet

from images.models import BaseImage, Build, Drift, RefusedRepository, Verification
from images.models.drift import DriftQuerySet
from images.models.lease import WorkState

REFUSED_SHOWN = 100


class DriftState(StrEnum):
    """What becomes of an open drift. The values are stable: programs read them."""

    HEALING = "healing"
    WAITING = "waiting"
    NOT_HEALED = "not_healed"
    LOST = "lost"

    @classmethod
    def of(cls, drift: Drift) -> DriftState:
        if not drift.is_healable:
            return cls.NOT_HEALED
        if drift.is_hopeless:
            return cls.LOST
        if not settings.HEAL_DRIFT:
            return cls.NOT_HEALED
        return cls.WAITING if drift.error_code and drift.state == WorkState.QUEUED else cls.HEALING


# How it stands in lists, its title on pages, and what follows from it.
WORDS = {
    DriftState.HEALING: (
        "Being pushed again",
        "This image is being pushed again",
        "The registry did not hold it as it was built. Its digest stays the same.",
    ),
    DriftState.WAITING: (
        "Not whole in the registry",
        "The registry does not hold this image as it was built",
        "It is pushed again, with the same digest, as soon as that is possible.",
    ),
    DriftState.NOT_HEALED: (
        "Not whole in the registry",
        "The registry does not hold this image as it was built",
        "Repair is turned off here (RI_HEAL_DRIFT). A rebuild makes a new image.",
    ),
    DriftState.LOST: (
        "Lost in the registry",
        "The registry lost this image, and it cannot be pushed again as it was",
        "Containers that already have it go on; a new pull fails or is incomplete. "
        "A rebuild makes a new image of the same requirements.",
    ),
}

# Of drifts of which nothing can be pushed again.
OF_MOVED_TAGS = (
    "Another image in the registry",
    "The registry has another image under this image's tag",
    "Somebody else writes to its repository. A pull by digest still gets this image, a pull by the tag "
    "does not.",
)
# Nobody rebuilds a base image.
OF_BASES = {
    DriftState.NOT_HEALED: "Repair is turned off here (RI_HEAL_DRIFT). Import the base image again.",
    DriftState.LOST: "Images that stand on it keep its layers; no further one can be built on it. "
    "Import it again under another version; its images are upgraded.",
}


@dataclass(frozen=True)
class DriftNotice:
    """A drift in words: `brief` stands in lists, `title` and `text` on pages.

    `reason` says why it is not healed, and is empty while the platform is at it.
    """

    drift: Drift
    state: DriftState
    brief: str
    title: str
    text: str
    reason: str

    @classmethod
    def of(cls, drift: Drift) -> DriftNotice:
        state = DriftState.of(drift)
        said = f"{drift.error_message} {drift.error_hint}".strip()
        brief, title, text = WORDS[state] if drift.is_healable else OF_MOVED_TAGS
        if drift.is_healable and drift.base_image_id is not None:
            text = OF_BASES.get(state, text)
        return cls(drift, state, brief, title, text, "" if state == DriftState.HEALING else said)

    @property
    def name(self) -> str:
        return self.drift.name

    @property
    def is_of_base(self) -> bool:
        return self.drift.base_image_id is not None

    @property
    def findings(self) -> list[str]:
        return self.drift.said

    @property
    def is_moving(self) -> bool:
        """The platform is at it."""
        return self.state == DriftState.HEALING

    @property
    def is_hopeless(self) -> bool:
        return self.state == DriftState.LOST

    @property
    def attempts(self) -> int:
        return self.drift.attempts

    @property
    def next_attempt_at(self) -> datetime | None:
        return self.drift.due_at if self.state == DriftState.WAITING else None


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


def drifts_by_base(bases: Iterable[BaseImage]) -> dict[int, DriftNotice]:
    """The open drifts of base images by their keys, in one query."""
    found = Drift.objects.open().filter(base_image__in=[base.pk for base in bases])
    return {
        drift.base_image_id: DriftNotice.of(drift)
        for drift in found.select_related("base_image")
        if drift.base_image_id
    }


def open_drifts() -> DriftQuerySet:
    """All open drifts, of base images as well, the oldest first."""
    return Drift.objects.open().select_related("build__image", "base_image").order_by("pk")


def last_refused() -> QuerySet[RefusedRepository]:
    """The repositories that could not be kept up when last tried: the latest of them."""
    return RefusedRepository.objects.select_related("image").order_by("-tried_at")[:REFUSED_SHOWN]


def last_verifications() -> tuple[Verification | None, Verification | None]:
    """The one that is under way, and the last that came to its end."""
    found = Verification.objects.defer("more_names")
    ended = found.filter(state=WorkState.SUCCEEDED).order_by("-finished_at").first()
    return found.active().first(), ended
