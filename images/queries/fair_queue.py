"""Who is served next: builds and resolutions that wait, in turn by person and workspace.

A worker that is woken takes the work whose turn it is, whichever message woke it. Turns go round robin over
those who wait, so a hundred builds of one person keep nobody else waiting for more than the one that runs.
Builds that may run a library's own build code stand in a lane of their own, with workers of their own.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Max, QuerySet
from django.utils import timezone

from images.errors import TooManyBuilds
from images.models import Alteration, Build
from images.models.build import OF_THE_PLATFORM
from images.models.lane import Lane
from images.models.lease import ACTIVE, WorkState
from images.spec import ImageSpec
from ri_platform.locks import until_commit
from workspaces.models import User

# Who was served longer ago than this goes by how long they have waited alone.
REMEMBERED = timedelta(hours=1)


@dataclass(frozen=True)
class Waiting:
    """A build or an alteration that could start now. `user` and `workspace` are primary keys, if known."""

    model: type[Build] | type[Alteration]
    pk: int
    user: int | None
    workspace: UUID | None
    since: datetime
    of_platform: bool = False

    @property
    def party(self) -> tuple[bool, int | None, UUID | None]:
        return self.of_platform, self.user, self.workspace


@dataclass
class Served:
    """What runs now, and when each was served last; both by user and by workspace."""

    running_of_user: dict[int | None, int] = field(default_factory=lambda: defaultdict(int))
    running_of_workspace: dict[UUID | None, int] = field(default_factory=lambda: defaultdict(int))
    user_at: dict[int | None, datetime] = field(default_factory=dict)
    workspace_at: dict[UUID | None, datetime] = field(default_factory=dict)

    def turn(self, work: Waiting) -> tuple[Any, ...]:
        """The smallest goes first: people before the platform, who has least running, who waits longest."""
        never = work.since - REMEMBERED - timedelta(days=365)
        return (
            work.of_platform,
            self.running_of_user.get(work.user, 0),
            self.running_of_workspace.get(work.workspace, 0),
            self.user_at.get(work.user, never),
            self.workspace_at.get(work.workspace, never),
            work.since,
            work.pk,
        )

    def at_limit(self, work: Waiting) -> bool:
        return (
            not work.of_platform
            and self.running_of_user.get(work.user, 0) >= settings.MAX_RUNNING_BUILDS
        )


def in_turn(waiting: Iterable[Waiting], served: Served) -> Iterator[Waiting]:
    """All that waits in the order in which one worker would take it; `served` is brought forward with it."""
    parties: dict[tuple[bool, int | None, UUID | None], deque[Waiting]] = defaultdict(deque)
    for work in sorted(waiting, key=lambda work: (work.since, work.pk)):
        parties[work.party].append(work)
    at = timezone.now()
    while parties:
        party = min(parties, key=lambda party: served.turn(parties[party][0]))
        work = parties[party].popleft()
        if not parties[party]:
            del parties[party]
        yield work
        at += timedelta(seconds=1)
        served.user_at[work.user] = served.workspace_at[work.workspace] = at


def of_build(build: Build) -> Waiting:
    """A build as what waits; its image's workspace is read with it."""
    return Waiting(
        Build, build.pk, build.requested_by_id, build.image.created_in_id, build.created_at,
        build.reason in OF_THE_PLATFORM,
    )  # fmt: skip


def waiting(builds: QuerySet[Build], alterations: QuerySet[Alteration]) -> list[Waiting]:
    """The rows of two querysets as what waits."""
    columns = ("pk", "requested_by", "image__created_in", "created_at")
    found = [
        Waiting(Build, pk, user, workspace, since, reason in OF_THE_PLATFORM)
        for pk, user, workspace, since, reason in builds.values_list(*columns, "reason")
    ]
    return found + [Waiting(Alteration, *row) for row in alterations.values_list(*columns)]


def served(lane: Lane, models: Iterable[type[Build] | type[Alteration]]) -> Served:
    """What the lane's workers do now and whom they served within the hour; two queries a model."""
    result = Served()
    now = timezone.now()
    for model in models:
        of_this_lane = lane.among(model._default_manager.all())
        running = of_this_lane.filter(state=WorkState.RUNNING, lease_expires_at__gte=now)
        for user, workspace, number in running.values_list(
            "requested_by", "image__created_in"
        ).annotate(number=Count("pk")):
            result.running_of_user[user] += number
            result.running_of_workspace[workspace] += number
        recent = of_this_lane.filter(started_at__gt=now - REMEMBERED)
        for user, workspace, at in recent.values_list("requested_by", "image__created_in").annotate(
            at=Max("started_at")
        ):
            result.user_at[user] = max(at, result.user_at.get(user, at))
            result.workspace_at[workspace] = max(at, result.workspace_at.get(workspace, at))
    return result


def next_in(
    lane: Lane, builds: QuerySet[Build], alterations: QuerySet[Alteration]
) -> Iterator[Waiting]:
    """What a worker may take now, in turn, without those whose user has as much running as is allowed."""
    state = served(lane, (Build, Alteration))
    found = waiting(lane.among(builds), lane.among(alterations))
    free = [work for work in found if not state.at_limit(work)]
    return in_turn(free, state)


def refuse_too_many(user: User, spec: ImageSpec) -> None:
    """Raise `TooManyBuilds` if one more build or alteration of `spec` is more than one person may have.

    Call it in the transaction that adds one. Work of the platform itself has no bound here.
    """
    until_commit(f"builds of {user.pk}")
    limits: list[tuple[int, str, dict[str, Any]]] = [(settings.MAX_WAITING_BUILDS, "builds", {})]
    if spec.allow_source:
        source = {"spec__allow_source": True}
        limits.append((settings.MAX_WAITING_SOURCE_BUILDS, "builds from source", source))
    mine = {"requested_by": user, "state__in": ACTIVE}
    for limit, what, kind in limits:
        number = sum(
            model._default_manager.filter(**mine, **kind).count() for model in (Build, Alteration)
        )
        if number >= limit:
            raise TooManyBuilds(
                f"You have {number} {what} that wait or run, and {limit} is the limit.",
                hint="Wait until some have ended, or cancel some.",
                retry_after=30,
            )
