"""Repair of drift: what the registry lost of an image is pushed again, with the same digest.

The registry server makes repository and policy again if they are gone, then the build jobs push. What fails
is tried again with growing pauses, as it may pass: a refusal of AWS, a full disk, a worker that dies. Only
what cannot be made the same again is given up, which is said, and left to people.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.building.cache import work_folder
from images.building.containers import container
from images.errors import (
    BuildError,
    CannotBeMadeAgain,
    OSPackagesUnavailable,
    RegistryError,
    RepositoryMissing,
    SourceBuildsUnavailable,
    TagTaken,
)
from images.jobs import remaking
from images.jobs.leased import Holder, carry_out
from images.jobs.quiet_journal import QuietJournal
from images.jobs.repositories import make_repository
from images.models import BaseImage, Build, Drift, FindingCode, ManagedImage
from images.models.drift import DriftQuerySet
from images.models.lane import Lane
from images.models.lease import WorkState, end_columns, error_columns, next_wake
from images.operations import drift as drifts
from images.references import repository_of
from images.registry import connection
from images.verification.rows import promised_bases, promised_builds
from ri_platform.errors import DomainError
from ri_platform.locks import exclusive, update_if_free

log = logging.getLogger(__name__)

# What no time heals. Whatever else fails is tried again.
HOPELESS = (CannotBeMadeAgain, TagTaken)
# What another machine may be able to do, with what this one says of itself.
OF_MACHINES: dict[str, Callable[[], str]] = {
    OSPackagesUnavailable.code: lambda: container.problem(),
    SourceBuildsUnavailable.code: lambda: container.confinement_problem(),
}
# How long a repair that this machine cannot do is left to others.
LEFT_TO_OTHERS = timedelta(minutes=1)


def row_of(drift: Drift) -> Build | BaseImage:
    row = drift.build or drift.base_image
    assert row is not None
    return row


def is_wanted(row: Build | BaseImage) -> bool:
    found = promised_builds() if isinstance(row, Build) else promised_bases()
    return found.filter(pk=row.pk).exists()


def wake_due() -> None:
    """Send repairs that are due, if repair is on: in each lane as many as suffice are on their way.

    The oldest first, so what is sent again for want of an answer is what was sent before.
    """
    if not settings.HEAL_DRIFT:
        return
    now, again = timezone.now(), next_wake()
    for lane in Lane:
        waiting = Drift.objects.waiting().in_lane(lane)
        # Some of these wait for the end of a pause, and are sent then.
        on_their_way = waiting.filter(due_at__gte=now, due_at__lte=again).count()
        due = waiting.filter(due_at__lt=now).select_related("build").order_by("pk")
        for drift in due[: max(0, wake.ENOUGH - on_their_way)]:
            if update_if_free(Drift.objects.filter(pk=drift.pk), due_at=again):
                wake.send(drifts.next_task(drift), drift.pk)


# --- registry server --------------------------------------------------------------------------------------


def restore_repository(drift_id: int) -> None:
    """Make the repository of a drift again if it is gone, with its policy, then have the image pushed.

    A message that comes late ends no pause.
    """
    drift = Drift.objects.waiting().filter(pk=drift_id, due_at__lte=next_wake()).first()
    if drift is None:
        return
    if not is_wanted(row_of(drift)):
        Drift.objects.waiting().filter(pk=drift.pk).update(**end_columns(WorkState.CANCELLED))
        return
    try:
        if drift.lacks_repository:
            restore(row_of(drift))
    except RegistryError as error:
        log.warning("The repository of %s cannot be made again: %s", drift, error)
        pause = drifts.pause_after(drift.attempts + 1)
        queued = Drift.objects.filter(pk=drift.pk, state=WorkState.QUEUED)
        queued.update(
            attempts=drift.attempts + 1, due_at=timezone.now() + pause, **error_columns(error)
        )
        return
    Drift.objects.filter(pk=drift.pk).update(repository_made=True, due_at=next_wake())
    wake.send(drifts.push_task(drift), drift.pk)


def restore(row: Build | BaseImage) -> None:
    """A removed image keeps its repository out of this: it is deleted under the same lock."""
    kind, pk = (
        ("base-repository", row.pk)
        if isinstance(row, BaseImage)
        else ("image-repository", row.image_id)
    )
    with exclusive(kind, pk):
        if isinstance(row, BaseImage):
            make_repository(connection.control(), row.repository, ours=True)
        elif (image := ManagedImage.objects.existing().filter(pk=row.image_id).first()) is not None:
            make_repository(connection.control(), repository_of(image), ours=True)


# --- build jobs -------------------------------------------------------------------------------------------


def startable() -> DriftQuerySet:
    """Repairs that could start and that this machine can do, as far as former attempts have told."""
    found = Drift.objects.waiting().filter(repository_made=True)
    for code, problem in OF_MACHINES.items():
        # A queue that asks for no sandbox does not pay for trying whether one can be had.
        if found.filter(error_code=code).exists() and problem():
            found = found.exclude(error_code=code)
    return found


def push_again(drift_id: int) -> None:
    """Claim a repair and bring it to its end, or to its next attempt."""
    drift = startable().claim(drift_id, settings.BUILD_LEASE_SECONDS)
    if drift is None:
        left = Drift.objects.waiting().filter(pk=drift_id, repository_made=True)
        left.filter(error_code__in=OF_MACHINES).update(
            repository_made=False, due_at=timezone.now() + LEFT_TO_OTHERS
        )
        return
    row = row_of(drift)
    journal = QuietJournal()
    carry_out(
        drift,
        settings.BUILD_LEASE_SECONDS,
        lambda holder: attempt(drift, row, journal, holder),
        fail=lambda error: end(drift, error, journal),
        broke=BuildError(
            "Pushing it again broke on the platform's side; the builds worker's log says where.",
            hint="It is tried again; if it stays so, tell the developers.",
        ),
    )


def attempt(drift: Drift, row: Build | BaseImage, journal: QuietJournal, holder: Holder) -> None:
    if not is_wanted(row):
        drift.write(state=WorkState.CANCELLED, finished_at=timezone.now(), lease_expires_at=None)
        return
    with work_folder(settings.CACHE_DIR, f"repair-{drift.pk}") as work, ExitStack() as held:
        if isinstance(row, BaseImage):
            remaking.push_base_again(drift, journal, holder.check, work)
        else:
            remaking.push_build_again(drift, journal, holder.check, work, held)
    log.info("%s is in the registry again.", drift)
    drifts.record_healed(drift, journal.text)


def end(drift: Drift, error: DomainError, journal: QuietJournal) -> None:
    """Try again what time, an operator, AWS or another machine can heal; give up what nobody can."""
    if isinstance(error, HOPELESS):
        log.warning("%s cannot be pushed again: %s", drift, error)
        drifts.give_up(drift, error, journal.text)
        return
    log.warning("%s is not in the registry yet: %s", drift, error)
    with transaction.atomic():
        if isinstance(error, RepositoryMissing) and not drift.lacks_repository:
            drift.write(codes=[FindingCode.REPOSITORY_MISSING, *drift.codes])
        drifts.try_later(drift, error, journal.text)
