"""Forecast of a build's remaining time and its place in the queue, from the timings of recent builds.

A phase is measured from its beginning to the end of the build, since phases overlap. Forecasts are medians.
Pages round them, since builds of one kind differ by seconds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from images.models import Build, BuildPhase, BuildReason, Instance
from images.models.lane import Lane
from images.models.lease import WorkState
from images.queries import fair_queue

# So many of the newest good builds are looked at.
RECENT = 200
# With fewer, nothing is foretold.
ENOUGH = 3


@dataclass(frozen=True)
class Outlook:
    """Of one active build. `ahead` is how many start before it, None once it runs or where it waits for
    something else than a builder; `seconds` are those until it is ready, None where too little is known.
    """

    build: Build
    ahead: int | None
    seconds: float | None

    @property
    def left(self) -> str:
        """The time until it is ready, in words; empty if that cannot be told."""
        return "" if self.seconds is None else about(self.seconds)

    @property
    def place(self) -> str:
        """Its place in the queue as a sentence; empty if it is in none."""
        if self.ahead is None:
            return ""
        if self.ahead == 0:
            return "It is the next to be built."
        return f"{self.ahead} build{'s are' if self.ahead > 1 else ' is'} before it."

    @property
    def brief(self) -> str:
        """All of it in a few words, for a list."""
        if self.build.state == WorkState.RUNNING:
            doing = BuildPhase(self.build.phase).label if self.build.phase else "Starting"
            return f"{doing}, {self.left} left" if self.left else doing
        place = (
            "Waiting"
            if self.ahead is None
            else "Next"
            if self.ahead == 0
            else f"{self.ahead} before it"
        )
        return f"{place}, {self.left}" if self.left else place


class Forecast:
    """One look at all active builds and the recent ones, for however many are asked about.

    `refused`: the registry is another instance's, so nothing is built.
    """

    def __init__(self, builds: Sequence[Build], now: datetime, *, refused: bool = False) -> None:
        self.refused = refused
        self.active = [build for build in builds if build.is_active]
        self.done = [build for build in builds if build.state == WorkState.SUCCEEDED]
        self.queues = {lane: self.queue(lane) for lane in Lane}
        self.now = now

    def queue(self, lane: Lane) -> list[Build]:
        """The lane's builds that wait for a builder alone, in the order in which they are taken."""
        queued = {
            build.pk: build
            for build in self.active
            if Lane.of(build.spec) == lane and waits_for_a_builder(build)
        }
        if len(queued) < 2:
            return list(queued.values())
        waiting = map(fair_queue.waiting_build, queued.values())
        return [
            queued[work.pk]
            for work in fair_queue.order_by_turn(waiting, fair_queue.read_service_record(lane))
        ]

    @classmethod
    def read(cls) -> Forecast:
        """What is active and some of the newest: two queries, and two more for each lane with a queue."""
        builds = Build.objects.select_related("image", "base_image").only(
            "state", "reason", "phase", "timings", "started_at", "finished_at", "spec", "created_at",
            "requested_by_id", "image__created_in_id", "image__repository_ready_at",
            "image__repository_error", "base_image__state",
        )  # fmt: skip
        active = builds.active().order_by()
        recent = builds.revisions().order_by("-pk")[:RECENT]
        found = sorted(active.union(recent, all=True), key=lambda build: build.pk)
        return cls(found, timezone.now(), refused=Instance.objects.seen().is_refused)

    def by_image(self) -> dict[int, Outlook]:
        """The image's primary key → the outlook of its active build."""
        return {build.image_id: self.of(build) for build in self.active}

    def of(self, build: Build) -> Outlook:
        if build.state == WorkState.RUNNING:
            return Outlook(build, None, self.seconds_left(build))
        if (
            self.refused
            or build.base_image.state != WorkState.SUCCEEDED
            or build.image.repository_error
        ):
            return Outlook(build, None, None)
        own = self.typical(build)
        if build.image.repository_ready_at is None:
            return Outlook(build, None, own)
        lane = Lane.of(build.spec)
        queue = self.queues[lane]
        before = queue[: queue.index(build)]
        # While any build waits, every builder is at one; how many there are needs no other count.
        running = [
            other
            for other in self.active
            if other.state == WorkState.RUNNING and Lane.of(other.spec) == lane
        ]
        times = [own, *(self.typical(other) for other in before)]
        times += [self.seconds_left(other) for other in running]
        known = [seconds for seconds in times[1:] if seconds is not None]
        if own is None or len(known) < len(times) - 1:
            return Outlook(build, len(before), None)
        return Outlook(build, len(before), own + sum(known) / max(len(running), 1))

    def typical(self, build: Build) -> float | None:
        """Seconds that a build like this one takes from its start."""
        return median(
            [
                (item.finished_at - item.started_at).total_seconds()
                for item in self.like(build)
                if item.finished_at and item.started_at
            ]
        )

    def seconds_left(self, build: Build) -> float | None:
        """Seconds until a running build is ready, by the phase that it began last."""
        begun = {
            phase: datetime.fromisoformat(t["started_at"]) for phase, t in build.timings.items()
        }
        if not begun:
            return self.typical(build)
        phase = max(begun, key=lambda phase: begun[phase])
        whole = median(
            [
                (
                    item.finished_at - datetime.fromisoformat(item.timings[phase]["started_at"])
                ).total_seconds()
                for item in self.like(build)
                if item.finished_at and phase in item.timings
            ]
        )
        if whole is None:
            return None
        return max(whole - (self.now - begun[phase]).total_seconds(), 0)

    def like(self, build: Build) -> list[Build]:
        """Finished builds of the same sort: bringing up to date takes a fraction of building."""
        upgrade = build.reason == BuildReason.UPGRADE
        return [item for item in self.done if (item.reason == BuildReason.UPGRADE) == upgrade]


def waits_for_a_builder(build: Build) -> bool:
    """Whether nothing else is missing: its repository and its base image are there."""
    return (
        build.state == WorkState.QUEUED
        and build.base_image.state == WorkState.SUCCEEDED
        and build.image.repository_ready_at is not None
        and not build.image.repository_error
    )


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if len(values) >= ENOUGH else None


def about(seconds: float) -> str:
    """A duration in words, rounded up so that it changes seldom: `a few seconds`, `about 20 s`."""
    if seconds <= 5:
        return "a few seconds"
    if seconds <= 50:
        return f"about {math.ceil(seconds / 10) * 10} s"
    if seconds <= 90 * 60:
        return f"about {math.ceil(seconds / 60)} min"
    return f"about {math.ceil(seconds / 3600)} h"
