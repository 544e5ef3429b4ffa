"""Repair of drift: what the registry lost of an image is pushed again, with the same digest.

The registry server makes repository and policy again, then the build jobs push. What AWS refuses is tried
again with growing pauses until it is granted; what cannot be made the same again is said, and left to people.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.building.cache import work_folder
from images.errors import BuildError, BuildTimedOut, RegistryError, TagTaken
from images.jobs import remaking
from images.jobs.leased import Holder, carry_out
from images.jobs.quiet_journal import QuietJournal
from images.jobs.repositories import make_repository
from images.models import BaseImage, Build, Drift, ManagedImage
from images.models.lease import WorkState, error_columns, next_wake
from images.operations import drift as drifts
from images.references import repository_of
from images.registry import connection
from images.verification.rows import promised_bases, promised_builds
from ri_platform.errors import DomainError
from ri_platform.locks import exclusive, update_if_free

log = logging.getLogger(__name__)


def row_of(drift: Drift) -> Build | BaseImage:
    row = drift.build or drift.base_image
    assert row is not None
    return row


def is_wanted(row: Build | BaseImage) -> bool:
    found = promised_builds() if isinstance(row, Build) else promised_bases()
    return found.filter(pk=row.pk).exists()


def wake_due() -> None:
    """Send the repairs that are due to the workers, if repair is on."""
    if not settings.HEAL_DRIFT:
        return
    due = Drift.objects.healable().due().select_related("build").order_by("due_at")
    for drift in due[: wake.ENOUGH]:
        if update_if_free(Drift.objects.filter(pk=drift.pk), due_at=next_wake()):
            wake.send(drifts.next_task(drift), drift.pk)


# --- registry server --------------------------------------------------------------------------------------


def restore_repository(drift_id: int) -> None:
    """Make the repository of a drift again if it is gone, with its policy, then have the image pushed."""
    drift = Drift.objects.healable().claimable().filter(pk=drift_id).first()
    if drift is None or not is_wanted(row_of(drift)):
        return
    try:
        restore(row_of(drift))
    except RegistryError as error:
        log.warning("The repository of %s cannot be made again: %s", drift, error)
        pause = drifts.pause_after(drift.attempts + 1)
        queued = Drift.objects.filter(pk=drift.pk, state=WorkState.QUEUED)
        queued.update(
            attempts=drift.attempts + 1, due_at=timezone.now() + pause, **error_columns(error)
        )
        return
    Drift.objects.filter(pk=drift.pk).update(repository_made=True)
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


def push_again(drift_id: int) -> None:
    """Claim a repair and bring it to its end, or to its next attempt."""
    mine = Drift.objects.healable().filter(repository_made=True)
    drift = mine.claim(drift_id, settings.BUILD_LEASE_SECONDS)
    if drift is None:
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
            hint="Rebuild it; if that fails the same way, tell the developers.",
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
    """Try again what time, an operator or AWS can heal; give up what nobody can."""
    hopeless = isinstance(error, TagTaken) or (
        isinstance(error, BuildError)
        and not error.retryable
        # A registry that is slow today may be quick tomorrow.
        and not isinstance(error, BuildTimedOut)
    )
    if hopeless:
        log.warning("%s cannot be pushed again: %s", drift, error)
        drifts.give_up(drift, error, journal.text)
        return
    log.warning("%s is not in the registry yet: %s", drift, error)
    with transaction.atomic():
        # The repository may have gone once more.
        drift.write(repository_made=False)
        drifts.try_later(drift, error, journal.text)
