"""The order of waiting builds, resolutions and base imports: round robin over users, then over workspaces.

A worker takes the work whose turn it is, whichever message woke it. With a hundred builds of one user, others
wait for the running build only. Builds that may run a library's own build code have a lane and
workers of their own (docs/decisions/0022-fair-queues.md).
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Case, Count, Max, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from images.errors import TooManyBuilds
from images.models import Alteration, BaseImage, Build
from images.models.build import OF_THE_PLATFORM
from images.models.lane import Lane
from images.models.lease import ACTIVE, WorkState
from images.spec import ImageSpec
from ri_platform.locks import hold_until_commit
from ri_platform.pages import Counted
from ri_platform.ready import Given, Ready
from workspaces.models import User

# Who was served longer ago than this goes by how long they have waited alone.
REMEMBERED = timedelta(hours=1)
NEVER = datetime.min.replace(tzinfo=UTC)
# Whose turn imports of base images take: no user has this key.
OPERATORS = 0
# The users who have a build that is queued or under way, by one look into `build_by_user` each, however many
# they have: a "loose index scan" (PostgreSQL wiki), which the planner does not make by itself.
USERS = """
WITH RECURSIVE found AS (
    SELECT min(requested_by_id) AS pk FROM images_build WHERE state IN ('queued', 'running')
    UNION ALL
    SELECT (
        SELECT min(requested_by_id) FROM images_build
        WHERE state IN ('queued', 'running') AND requested_by_id > found.pk
    )
    FROM found WHERE found.pk IS NOT NULL
)
SELECT pk FROM found WHERE pk IS NOT NULL
"""

Work = Build | Alteration | BaseImage


@dataclass(frozen=True)
class WaitingWork:
    """Work that could start now. `user` and `workspace` are primary keys, if known."""

    model: type[Work]
    pk: int
    user: int | None
    workspace: UUID | None
    since: datetime
    of_platform: bool = False

    @property
    def party(self) -> tuple[bool, int | None]:
        return self.of_platform, self.user

    @property
    def age(self) -> tuple[datetime, int]:
        """The smallest waits longest."""
        return self.since, self.pk


@dataclass
class ServiceRecord:
    """What runs now, and when each was served last; both by user and by workspace."""

    running_of_user: dict[int | None, int] = field(default_factory=lambda: defaultdict(int))
    running_of_workspace: dict[UUID | None, int] = field(default_factory=lambda: defaultdict(int))
    user_at: dict[int | None, datetime] = field(default_factory=dict)
    workspace_at: dict[UUID | None, datetime] = field(default_factory=dict)

    def turn(self, oldest: WaitingWork) -> tuple[Any, ...]:
        """Of a user, by the oldest work: people before the platform, then who has least and waits longest."""
        return (
            oldest.of_platform,
            self.running_of_user.get(oldest.user, 0),
            self.user_at.get(oldest.user, NEVER),
            self.running_of_workspace.get(oldest.workspace, 0),
            *oldest.age,
        )

    def turn_within(self, work: WaitingWork) -> tuple[Any, ...]:
        """Among one user's work: what somebody looks at first, then by workspaces in the same way."""
        return (
            work.model is not Alteration,
            self.running_of_workspace.get(work.workspace, 0),
            self.workspace_at.get(work.workspace, NEVER),
            *work.age,
        )

    def at_limit(self, work: WaitingWork) -> bool:
        return (
            not work.of_platform
            and self.running_of_user.get(work.user, 0) >= settings.MAX_RUNNING_BUILDS
        )

    def serve(self, work: WaitingWork, at: datetime) -> None:
        self.user_at[work.user] = self.workspace_at[work.workspace] = at


def order_by_turn(waiting: Iterable[WaitingWork], served: ServiceRecord) -> Iterator[WaitingWork]:
    """All that waits in the order in which one worker would take it; `served` is brought forward with it."""
    parties: dict[tuple[bool, int | None], UserQueue] = defaultdict(UserQueue)
    for work in sorted(waiting, key=lambda work: work.age):
        parties[work.party].add(work)
    # Serving one user changes no other's turn, so theirs are not looked at again. The number decides a tie.
    turns = [
        (served.turn(queue.oldest), number, queue) for number, queue in enumerate(parties.values())
    ]
    heapq.heapify(turns)
    at = timezone.now()
    while turns:
        _, number, queue = heapq.heappop(turns)
        work = queue.take(served)
        yield work
        at += timedelta(seconds=1)
        served.serve(work, at)
        if queue.lines:
            heapq.heappush(turns, (served.turn(queue.oldest), number, queue))


@dataclass
class UserQueue:
    """What waits of one user, the oldest first, in lines whose first alone can be next."""

    lines: dict[tuple[bool, UUID | None], deque[WaitingWork]] = field(default_factory=dict)

    def add(self, work: WaitingWork) -> None:
        self.lines.setdefault((work.model is Alteration, work.workspace), deque()).append(work)

    @property
    def oldest(self) -> WaitingWork:
        return min((line[0] for line in self.lines.values()), key=lambda work: work.age)

    def take(self, served: ServiceRecord) -> WaitingWork:
        key = min(self.lines, key=lambda key: served.turn_within(self.lines[key][0]))
        work = self.lines[key].popleft()
        if not self.lines[key]:
            del self.lines[key]
        return work


def waiting_build(build: Build) -> WaitingWork:
    """A build as what waits; its image's workspace is read with it."""
    return WaitingWork(
        Build, build.pk, build.requested_by_id, build.image.created_in_id, build.created_at,
        build.reason in OF_THE_PLATFORM,
    )  # fmt: skip


@dataclass(frozen=True)
class Startable:
    """What a worker could start, by kind."""

    builds: QuerySet[Build]
    alterations: QuerySet[Alteration]
    base_images: QuerySet[BaseImage]

    def oldest(self) -> list[WaitingWork]:
        """The oldest work of each who has some. However many builds wait, their number does not matter."""
        with connection.cursor() as cursor:
            cursor.execute(USERS)
            users = [pk for (pk,) in cursor.fetchall()]
        first = self.builds.filter(requested_by=OuterRef("pk")).order_by("created_at", "pk")
        heads = User.objects.filter(pk__in=users).values_list(Subquery(first.values("pk")[:1]))
        platform_last = Case(When(reason__in=OF_THE_PLATFORM, then=Value(1)), default=Value(0))
        of_nobody = self.builds.filter(requested_by=None).order_by(
            platform_last, "created_at", "pk"
        )
        pks = [pk for (pk,) in (*heads, *of_nobody.values_list("pk")[:1]) if pk is not None]
        others = Startable(self.builds.filter(pk__in=pks), self.alterations, self.base_images)
        found: dict[tuple[bool, int | None], WaitingWork] = {}
        for work in sorted(others.waiting(), key=lambda work: work.age):
            found.setdefault(work.party, work)
        return list(found.values())

    def without(self, works: Sequence[WaitingWork]) -> Startable:
        """All but these."""
        if not works:
            return self
        passed: dict[type[Work], list[int]] = {Build: [], Alteration: [], BaseImage: []}
        for work in works:
            passed[work.model].append(work.pk)
        return Startable(
            self.builds.exclude(pk__in=passed[Build]),
            self.alterations.exclude(pk__in=passed[Alteration]),
            self.base_images.exclude(pk__in=passed[BaseImage]),
        )

    def of(self, party: tuple[bool, int | None]) -> list[WaitingWork]:
        """All that waits of one of those."""
        of_platform, user = party
        if user == OPERATORS:
            mine = Startable(self.builds.none(), self.alterations.none(), self.base_images)
        else:
            of_them = Q(reason__in=OF_THE_PLATFORM)
            mine = Startable(
                self.builds.filter(of_them if of_platform else ~of_them, requested_by=user),
                self.alterations.filter(requested_by=user),
                self.base_images.none(),
            )
        return [work for work in mine.waiting() if work.party == party]

    def waiting(self) -> list[WaitingWork]:
        """All of it."""
        columns = ("pk", "requested_by", "image__created_in", "created_at")
        builds = self.builds.values_list(*columns, "reason")
        return [
            *(
                WaitingWork(Build, pk, user, workspace, since, reason in OF_THE_PLATFORM)
                for pk, user, workspace, since, reason in builds
            ),
            *(WaitingWork(Alteration, *row) for row in self.alterations.values_list(*columns)),
            *(
                WaitingWork(BaseImage, pk, OPERATORS, None, since)
                for pk, since in self.base_images.values_list("pk", "created_at")
            ),
        ]


def read_service_record(lane: Lane) -> ServiceRecord:
    """What the lane's workers do now and whom they served within the hour; two queries."""
    result = ServiceRecord()
    now = timezone.now()
    running = Q(state=WorkState.RUNNING, lease_expires_at__gte=now)
    recent = Q(started_at__gt=now - REMEMBERED)
    models: tuple[type[Build] | type[Alteration], ...] = (Build, Alteration)
    for model in models:
        found = lane.among(model._default_manager.filter(running | recent)).order_by()
        told = found.values_list("requested_by", "image__created_in").annotate(
            number=Count("pk", filter=running), at=Max("started_at", default=now)
        )
        for user, workspace, number, at in told:
            result.running_of_user[user] += number
            result.running_of_workspace[workspace] += number
            result.user_at[user] = max(at, result.user_at.get(user, at))
            result.workspace_at[workspace] = max(at, result.workspace_at.get(workspace, at))
    return result


def add_imports(served: ServiceRecord) -> None:
    """Count base imports as the work of the operators, who are one party."""
    now = timezone.now()
    imports = BaseImage.objects.filter(started_at__gt=now - REMEMBERED)
    running = Q(state=WorkState.RUNNING, lease_expires_at__gte=now)
    told = imports.aggregate(at=Max("started_at"), running=Count("pk", filter=running))
    if told["at"]:
        served.user_at[OPERATORS] = told["at"]
        served.running_of_user[OPERATORS] = told["running"]


def next_in(lane: Lane, startable: Startable) -> Iterator[WaitingWork]:
    """What a worker may take now, the best first: one piece of work of each who may have more running.

    Its cost grows with how many people wait, and not with how much.
    """
    served = read_service_record(lane)
    add_imports(served)
    mine = Startable(
        lane.among(startable.builds),
        lane.among(startable.alterations),
        startable.base_images if lane is Lane.BUILDS else startable.base_images.none(),
    )
    free = [work for work in mine.oldest() if not served.at_limit(work)]
    for oldest in sorted(free, key=served.turn):
        yield min(mine.of(oldest.party), key=served.turn_within, default=oldest)


def is_crowded(lane: Lane, enough: int) -> bool:
    """Whether more builds wait in a lane than the messages that are `enough`: each worker wakes the next.

    More would only stand before the messages of other work.
    """
    waiting = lane.among(Build.objects.startable()).filter(state=WorkState.QUEUED)
    return waiting[: enough + 1].count() > enough


def write_work_of(**kind: bool) -> QuerySet[User, tuple[int, int]]:
    """How many builds, and how many alterations, of a user wait or run."""
    mine = {"requested_by": OuterRef("pk"), "state__in": ACTIVE, **kind}
    builds, alterations = (
        Counted(model._default_manager.filter(**mine), None) for model in (Build, Alteration)
    )
    return User.objects.filter(pk=Given("user")).values_list(builds, alterations)


WORK_OF: Ready[tuple[int, int]] = Ready(write_work_of)
SOURCE_WORK_OF: Ready[tuple[int, int]] = Ready(lambda: write_work_of(spec__allow_source=True))


def refuse_too_many(user: User, spec: ImageSpec) -> None:
    """Raise `TooManyBuilds` if one more build or alteration of `spec` is more than one person may have.

    Call it in the transaction that adds one. Work of the platform itself has no bound here.
    """
    hold_until_commit(f"builds of {user.pk}")
    limits = [(settings.MAX_WAITING_BUILDS, "builds", WORK_OF)]
    if spec.allow_source:
        limits.append((settings.MAX_WAITING_SOURCE_BUILDS, "builds from source", SOURCE_WORK_OF))
    for limit, what, work_of in limits:
        number = sum(work_of.first(user=user.pk) or ())
        if number >= limit:
            raise TooManyBuilds(
                f"You have {number} {what} that wait or run, and {limit} is the limit.",
                hint="Wait until some have ended, or cancel some.",
                retry_after=30,
            )
