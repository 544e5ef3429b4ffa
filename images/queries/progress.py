"""The progress of a build in the words of a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from images.models import Build, BuildPhase, Instance, ManagedImage
from images.models.instance import MarkState
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
    if BuildPhase.IMPORTS not in build.timings:
        left_out.add(BuildPhase.IMPORTS)
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


def sentence(image: ManagedImage, build: Build, instance: Instance) -> str:
    """What an active build does or waits for."""
    phases = steps(build)
    for number, now in enumerate(phases, 1):
        if now.state == "running":
            return f"{now.label}, step {number} of {len(phases)}"
    return waiting_for(image, build, instance) or "Starting."


def waiting_for(image: ManagedImage, build: Build, instance: Instance) -> str:
    """Why a queued build has not started, as a sentence; empty once it has.

    `instance` is what is known of whose the registry is (`Instance.objects.seen()`).
    """
    if build.state != WorkState.QUEUED:
        return ""
    if build.failed_attempts and build.not_before and build.not_before > timezone.now():
        last = build.failed_attempts[-1]
        return (
            f"Attempt {len(build.failed_attempts)} failed, and is repeated at "
            f"{build.not_before:%H:%M:%S} UTC. {last['message']}"
        )
    if instance.is_refused:
        return f"Waiting for an administrator. {instance.refusal.message}"
    if instance.state == MarkState.FREE:
        return "Waiting for a builds worker to mark the registry's repositories as this instance's."
    if image.repository_error:
        return f"Waiting for AWS to make the image's repository. {image.repository_error}"
    if image.repository_ready_at is None:
        return "Waiting for the image's repository."
    if build.base_image.state != WorkState.SUCCEEDED:
        return "Waiting for the base image, which is still being prepared."
    return "Waiting for a builder."
