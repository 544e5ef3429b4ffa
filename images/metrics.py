"""Metrics that are facts of the database: queues and images. The web process exposes them (`/metrics`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import DatabaseError, models
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from images.models import (
    AwsContact,
    BaseImage,
    Build,
    BuildHost,
    Drift,
    ImageCount,
    RefusedRepository,
    Status,
    TaskDue,
    UnknownRepository,
    Verification,
)
from images.models.contact import Identity
from images.models.lease import ACTIVE, WorkState
from images.models.verification import HEALABLE
from images.wake import DUE, Task


class DatabaseMetrics(Collector):
    """Read anew with each scrape, by a handful of queries whose number does not depend on the rows."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("ri_database_up", "1 if the database answered this scrape.")
        try:
            found = [*queues(), images(), hosts(), *contacts(), *contents()]
        except DatabaseError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield from [up, *found]


def queues() -> list[GaugeMetricFamily]:
    length = GaugeMetricFamily(
        "ri_queue_length",
        "Work by task: queued, or running under a lease.",
        labels=["task", "state"],
    )
    age = GaugeMetricFamily(
        "ri_queue_oldest_age_seconds",
        "How long the oldest queued work of a task has waited; 0 where none waits.",
        labels=["task"],
    )
    expired = GaugeMetricFamily(
        "ri_leases_expired", "Work whose worker has died and which nobody has taken over yet."
    )
    now = timezone.now()
    # A repository that cannot be had is listed as due, but nobody waits for it once its build has failed.
    waited_for = Build.objects.filter(state=WorkState.QUEUED).values("image")
    due = TaskDue.objects.exclude(
        models.Q(task=Task.PREPARE_REPOSITORY.function) & ~models.Q(row__in=waited_for)
    )
    rows = due.values("task", "state").annotate(
        number=models.Count("id"), oldest=models.Min("since")
    )
    found = {(row["task"], row["state"]): (row["number"], row["oldest"]) for row in rows}
    for task in DUE:
        for state in ACTIVE:
            number, oldest = found.get((task, state.value), (0, now))
            length.add_metric([task, state.value], number)
            if state == WorkState.QUEUED:
                age.add_metric([task], seconds(oldest, now))
    expired.add_metric([], TaskDue.objects.filter(lease_expires_at__lt=now).count())
    return [length, age, expired]


def images() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "ri_images", "Managed images by status; those being removed apart.", labels=["status"]
    )
    counted = dict(
        ImageCount.objects.of_existing_images()
        .values_list("status")
        .annotate(images=models.Sum("number"))
    )
    for status in Status.values:
        family.add_metric([status], counted.get(status, 0))
    family.add_metric(["REMOVING"], ImageCount.objects.filter(removed=True).total())
    return family


def hosts() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "ri_build_hosts", "Machines with builds workers that have reported within the last hour."
    )
    family.add_metric([], BuildHost.objects.alive().filter(queue="builds").count())
    return family


def contacts() -> list[GaugeMetricFamily]:
    age = GaugeMetricFamily(
        "ri_aws_contact_age_seconds",
        "How long ago an identity last got a registry token from AWS.",
        labels=["identity"],
    )
    refused = GaugeMetricFamily(
        "ri_aws_contact_failing", "1 while an identity's last attempt failed.", labels=["identity"]
    )
    now = timezone.now()
    for contact in AwsContact.objects.filter(identity__in=Identity.values):
        if contact.succeeded_at:
            age.add_metric([contact.identity], seconds(contact.succeeded_at, now))
        refused.add_metric([contact.identity], 1 if contact.problem else 0)
    return [age, refused]


def contents() -> list[GaugeMetricFamily]:
    drifted = GaugeMetricFamily(
        "ri_drifts",
        "Images that the registry does not hold as built: to be pushed again, refused, or hopeless.",
        labels=["state"],
    )
    waiting = GaugeMetricFamily(
        "ri_drift_oldest_age_seconds",
        "How long ago the oldest drift that only waits to be pushed again was found; 0 where none waits.",
    )
    unknown = GaugeMetricFamily(
        "ri_unknown_repositories", "Repositories under the prefix that no record knows."
    )
    refused_upkeep = GaugeMetricFamily(
        "ri_repositories_refused",
        "Repositories whose lifecycle policy, listing or deletion failed when it was last tried.",
    )
    age = GaugeMetricFamily(
        "ri_verification_age_seconds",
        "How long ago the last look at the registry ended; if none did, the first base image was added.",
    )
    hopeless = models.Q(state=WorkState.FAILED) | ~models.Q(codes__overlap=list(HEALABLE))
    refused = models.Q(state=WorkState.QUEUED) & ~models.Q(error_code="")
    counted = Drift.objects.open().aggregate(
        hopeless=models.Count("pk", filter=hopeless),
        refused=models.Count("pk", filter=refused & ~hopeless),
        every=models.Count("pk"),
        oldest=models.Min("created_at", filter=models.Q(state=WorkState.QUEUED, error_code="")),
    )
    now = timezone.now()
    waiting.add_metric([], seconds(counted["oldest"] or now, now))
    queued = counted["every"] - counted["hopeless"] - counted["refused"]
    for state, number in (
        ("queued", queued),
        ("refused", counted["refused"]),
        ("hopeless", counted["hopeless"]),
    ):
        drifted.add_metric([state], number)
    unknown.add_metric([], UnknownRepository.objects.open().count())
    refused_upkeep.add_metric([], RefusedRepository.objects.count())
    since = last_verified()
    if since is not None:
        age.add_metric([], seconds(since, now))
    return [drifted, waiting, unknown, refused_upkeep, age]


def last_verified() -> datetime | None:
    """When the last look ended. If none did, since when there is something to look at."""
    ended = Verification.objects.filter(state=WorkState.SUCCEEDED)
    last: datetime | None = ended.aggregate(at=models.Max("finished_at"))["at"]
    if last is None:
        last = BaseImage.objects.aggregate(at=models.Min("created_at"))["at"]
    return last


def seconds(then: datetime, now: datetime) -> float:
    return max(0.0, (now - then).total_seconds())
