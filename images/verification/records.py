"""The records by themselves: work goes on, requests end, counts are true, what is asked for is audited."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, IntegerField, OuterRef, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Now
from django.utils import timezone

from images.models import (
    Assignment,
    Attestation,
    AwsContact,
    Build,
    BuildReason,
    Delivery,
    Drift,
    FindingCode,
    ImageCount,
    ImportCheck,
    ManagedImage,
    Status,
    TaskDue,
)
from images.models.contact import Identity
from images.models.lane import Lane
from images.models.lease import ACTIVE, WorkState
from images.verification.findings import Finding
from images.wake import Task
from workspaces.models import AuditEvent

# How long work may lie without anybody going on with it: many times the lease and the sweeper's interval.
STUCK_AFTER = timedelta(minutes=10)
# An event is of its change's transaction; clocks of the database and of a process may differ by this.
CLOCKS = timedelta(seconds=5)
# What waits for people where nothing is pushed again by itself (`RI_HEAL_DRIFT`).
REPAIRS = (Task.RESTORE_REPOSITORY.function, Task.PUSH_AGAIN.function)
UNDER_WAY = (Status.BUILDING_FIRST_TIME, Status.REBUILDING)
# The event that each reason of a build leaves; the first build's is the creation itself.
EVENTS = {
    BuildReason.REBUILD: ("image.rebuild_requested", "image.source_builds_allowed"),
    BuildReason.ALTER: ("image.altered", "image.source_builds_allowed"),
    BuildReason.ROLL_BACK: ("image.rolled_back",),
    BuildReason.UPGRADE: ("image.upgrade_begun",),
    BuildReason.RENEW: ("image.upgrade_begun",),
}
BORN = ("image.created", "image.adopted")


def findings(*, stuck_after: timedelta = STUCK_AFTER) -> Iterator[Finding]:
    """All findings of the database; the number of queries does not grow with the rows."""
    yield from stuck_work(stuck_after)
    yield from requests_without_end()
    yield from wrong_statuses()
    yield from wrong_counts()
    yield from changes_without_event()


def stuck_work(stuck_after: timedelta) -> Iterator[Finding]:
    """Work under a lease that ran out long ago, and work that waits in a queue that does not move."""
    now = timezone.now()
    long_ago = now - stuck_after
    for task in TaskDue.objects.filter(state=WorkState.RUNNING, lease_expires_at__lt=long_ago):
        yield Finding(
            FindingCode.WORK_STUCK,
            task.of,
            f"The worker of {words(task.task)} {task.of} died at about "
            f"{task.lease_expires_at:%Y-%m-%d %H:%M}, and no other has taken it over.",
        )
    # Work that was refused says so itself, and is tried again.
    waiting = TaskDue.objects.filter(state=WorkState.QUEUED, since__lt=long_ago, error="")
    if not settings.HEAL_DRIFT:
        waiting = waiting.exclude(task__in=REPAIRS)
    queues = set(waiting.values_list("queue", flat=True))
    stuck = queues - moving_queues(queues, now, long_ago)
    for task in waiting.filter(queue__in=stuck).order_by("since")[:1000]:
        yield Finding(
            FindingCode.WORK_STUCK,
            task.of,
            f"The work {words(task.task)} {task.of} has waited since {task.since:%Y-%m-%d %H:%M}, "
            f"and no worker of the queue {task.queue} takes such work.",
        )


def moving_queues(queues: set[str], now: datetime, long_ago: datetime) -> set[str]:
    """Those of the queues whose workers are at something, or have begun or ended something since `long_ago`.

    Work that waits in one of these has its turn, however long the queue is.
    """
    held = TaskDue.objects.filter(state=WorkState.RUNNING, lease_expires_at__gt=now)
    of_late = Q(started_at__gt=long_ago) | Q(finished_at__gt=long_ago)
    drifts = Drift.objects.filter(of_late)
    builds = Build.objects.filter(of_late)
    signs: list[tuple[str, QuerySet[Any]]] = [
        (Lane.BUILDS, Lane.BUILDS.among(builds)),
        (Lane.BUILDS, Attestation.objects.filter(of_late)),
        (Lane.BUILDS, drifts.filter(repository_made=True)),
        (Lane.SOURCES, Lane.SOURCES.among(builds)),
        (Lane.SOURCES, ImportCheck.objects.filter(of_late)),
        ("webhooks", Delivery.objects.filter(of_late)),
        # What is pushed again had its repository made before.
        ("registry", drifts),
        ("registry", ManagedImage.objects.filter(repository_ready_at__gt=long_ago)),
        (
            "registry",
            AwsContact.objects.filter(identity=Identity.REGISTRY_SERVER, tried_at__gt=long_ago),
        ),
    ]
    found = {str(queue) for queue, rows in signs if queue in queues and rows.exists()}
    return found | set(held.values_list("queue", flat=True))


def words(task: str) -> str:
    return task.replace("_", " ")


def requests_without_end() -> Iterator[Finding]:
    """Images that say they are being built while nothing is built, and models that wait for such an image."""
    active = Build.objects.filter(image=OuterRef("pk"), state__in=ACTIVE)
    for image in ManagedImage.objects.existing().filter(~Exists(active), status__in=UNDER_WAY):
        yield Finding(
            FindingCode.REQUEST_WITHOUT_END,
            image.name,
            f"{image.name} is {image.get_status_display().lower()}, but no build is under way.",
        )
    active = Build.objects.filter(image=OuterRef("image"), state__in=ACTIVE)
    waiting = Assignment.objects.waiting().filter(image__isnull=False)
    for assignment in waiting.filter(~Exists(active)).select_related("model", "image"):
        if assignment.image is None or assignment.image.status == Status.FAILED:
            continue  # It waits until somebody has that image built again, and says so.
        yield Finding(
            FindingCode.REQUEST_WITHOUT_END,
            assignment.model.name,
            f"The model {assignment.model.name} waits for {assignment.image.name}, "
            "for which no build is under way.",
        )


def wrong_statuses() -> Iterator[Finding]:
    """Images whose status contradicts their builds."""
    images = ManagedImage.objects.existing().select_related("current_build")
    active = Build.objects.filter(image=OuterRef("pk"), state__in=ACTIVE)
    settled = images.exclude(status__in=UNDER_WAY).filter(Exists(active))
    for image in settled:
        yield Finding(
            FindingCode.STATUS_WRONG,
            image.name,
            f"{image.name} is {image.get_status_display().lower()}, but a build is under way.",
        )
    bad = images.filter(current_build__isnull=False).exclude(
        current_build__state=WorkState.SUCCEEDED, current_build__image=F("pk")
    )
    for image in bad:
        yield Finding(
            FindingCode.STATUS_WRONG,
            image.name,
            f"The current build of {image.name} is not one of its own that succeeded.",
            build=image.current_build.number if image.current_build else None,
        )


def wrong_counts() -> Iterator[Finding]:
    """Kept counts that are not what counting all images gives."""
    for status, removed, difference in ImageCount.objects.differences():
        which = "removed images" if removed else "images"
        yield Finding(
            FindingCode.COUNT_WRONG,
            status,
            f"The count of {which} with the status {status} on one base image is wrong by {difference:+}.",
        )


def changes_without_event() -> Iterator[Finding]:
    """Images, removals and builds without the event of the request for them.

    Those that are older than the log is kept for are left out.
    """
    kept_since = timezone.now() - timedelta(days=settings.AUDIT_DAYS) + timedelta(days=1)
    of_image = AuditEvent.objects.filter(
        object_type=ManagedImage.audit_type, object_name=OuterRef("name")
    )
    images = ManagedImage.objects.filter(created_at__gt=kept_since, created_at__lt=Now() - CLOCKS)
    born = of_image.filter(event__in=BORN, at__gt=OuterRef("created_at") - CLOCKS)
    for name in images.filter(~Exists(born)).values_list("name", flat=True):
        said = f"The audit log does not say who created {name}."
        yield Finding(FindingCode.AUDIT_INCOMPLETE, name, said)
    removed = of_image.filter(event="image.removed", at__gt=OuterRef("removed_at") - CLOCKS)
    gone = ManagedImage.objects.filter(removed_at__gt=kept_since).filter(~Exists(removed))
    for name in gone.values_list("name", flat=True):
        said = f"The audit log does not say who removed {name}."
        yield Finding(FindingCode.AUDIT_INCOMPLETE, name, said)
    told_of = Cast(KeyTextTransform("build", "details"), IntegerField())
    of_build = AuditEvent.objects.alias(number=told_of).filter(
        object_type=ManagedImage.audit_type,
        object_name=OuterRef("image__name"),
        number=OuterRef("number"),
    )
    for reason, events in EVENTS.items():
        builds = Build.objects.filter(reason=reason, created_at__gt=kept_since)
        told = of_build.filter(event__in=events)
        found = builds.filter(~Exists(told)).values_list("image__name", "number")
        for name, number in found:
            said = f"The audit log does not say who asked for build {number} of {name}."
            yield Finding(FindingCode.AUDIT_INCOMPLETE, name, said, build=number)
