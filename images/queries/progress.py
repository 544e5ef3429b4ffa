"""How far a build is, in the words of a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from images.models import Build, BuildPhase, ManagedImage
from images.models.lease import WorkState


@dataclass(frozen=True)
class Step:
    """A phase as the page shows it; `state` is `done`, `running`, `failed` or `waiting`."""

    label: str
    state: str
    seconds: float | None


def steps(build: Build) -> list[Step]:
    """The phases in order, with what each took, or is taking."""
    left_out = set()
    if not build.spec.os_packages:
        left_out.add(BuildPhase.OS_PACKAGES)
    if BuildPhase.SOURCES not in build.timings:
        left_out.add(BuildPhase.SOURCES)
    return [step(build, phase) for phase in BuildPhase if phase not in left_out]


def step(build: Build, phase: BuildPhase) -> Step:
    timing = build.timings.get(phase.value)
    if timing is None:
        return Step(phase.label, "waiting", None)
    if timing.get("failed"):
        return Step(phase.label, "failed", timing["seconds"])
    if timing["seconds"] is not None:
        return Step(phase.label, "done", timing["seconds"])
    if build.state == WorkState.RUNNING:
        elapsed = timezone.now() - datetime.fromisoformat(timing["started_at"])
        return Step(phase.label, "running", round(elapsed.total_seconds()))
    return Step(phase.label, "failed", None)


def waiting_for(image: ManagedImage, build: Build) -> str:
    """Why a queued build has not started, as a sentence; empty once it has."""
    if build.state != WorkState.QUEUED:
        return ""
    if image.repository_error:
        return f"Waiting for AWS to make the image's repository. {image.repository_error}"
    if image.repository_ready_at is None:
        return "Waiting for the image's repository."
    if build.base_image.state != WorkState.SUCCEEDED:
        return "Waiting for the base image, which is still being prepared."
    return "Waiting for a builder."
