"""Verifications in slices: the build jobs look at images, the registry server for repositories of no record.

A slice ends when other work waits for its worker, so a look at everything keeps nobody waiting; the cursor is
in the row, so another worker goes on, also after a crash.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.errors import RegistryError, WorkerDied
from images.jobs.leased import Holder, carry_out
from images.jobs.verification_slice import Slice
from images.jobs.verified_images import LOOK_STAGES, ImageSlice
from images.jobs.verified_listings import ListingSlice
from images.jobs.verified_names import NameSlice
from images.models import Stage, Verification
from images.models.lease import ACTIVE, WorkState, error_columns
from images.registry import naming
from images.verification.rows import promised_bases, promised_builds
from ri_platform.errors import DomainError
from workspaces import audit

log = logging.getLogger(__name__)

PAUSE = timedelta(seconds=30)
SLICES: dict[str, type[Slice]] = {
    Stage.IMAGES: ImageSlice,
    Stage.BASE_IMAGES: ImageSlice,
    Stage.BUILDS: ListingSlice,
    Stage.NAMES: NameSlice,
}
LISTING_STAGES = (Stage.BUILDS, Stage.NAMES)
# Verifications are kept for so long, to compare.
KEPT = timedelta(days=30)


def begin_due() -> None:
    """Begin the platform's own look if it is time, and none is under way. It goes on beside an operator's."""
    minutes = settings.VERIFY_MINUTES if settings.IMAGE_REGISTRY_ENABLED else 0
    since = timezone.now() - timedelta(minutes=minutes)
    own = Verification.objects.filter(by_platform=True)
    if not minutes or own.filter(created_at__gt=since).exists() or own.active().exists():
        return
    old = Verification.objects.filter(created_at__lt=timezone.now() - KEPT)
    old.exclude(state__in=ACTIVE).delete()
    begin(by_platform=True)


def begin(
    *, deep: bool = False, by_platform: bool = False, more_names: Sequence[str] = ()
) -> Verification:
    """Begin a verification; `more_names` are repositories without the prefix to look for, too."""
    found = promised_builds()
    last = found.reverse().values_list("pk", flat=True).first() or 0
    with transaction.atomic():
        work = Verification.objects.create(
            deep=deep,
            by_platform=by_platform,
            upto=last,
            total=found.count() + promised_bases().count(),
            more_names=list(more_names),
        )
        if not by_platform:
            audit.record(
                "registry.verification_requested",
                None,
                object_type="registry",
                object_name=naming.effective_prefix(),
                details={"verification": work.pk, "deep": deep},
            )
        wake.after_commit(wake.Task.VERIFY_IMAGES, work.pk)
    return work


def task_of(work: Verification) -> wake.Task:
    return wake.Task.VERIFY_IMAGES if work.stage in LOOK_STAGES else wake.Task.VERIFY_NAMES


def look_at_images(verification_id: int) -> None:
    """Do one slice. Runs as the build jobs."""
    run_slice(verification_id, LOOK_STAGES)


def look_at_names(verification_id: int) -> None:
    """Do one slice of the listings or of the names, which come last. Runs as the registry server."""
    run_slice(verification_id, LISTING_STAGES)


def run_slice(verification_id: int, stages: Sequence[Stage]) -> None:
    """Claim a verification at one of these stages, and do a part of it; AWS's refusals are tried again."""
    mine = Verification.objects.filter(stage__in=stages)
    work = mine.claim(verification_id, settings.BUILD_LEASE_SECONDS)
    if work is None:
        return
    parts: list[Slice] = []

    def part_of(holder: Holder) -> None:
        parts.append(SLICES[work.stage](work, holder.check))
        parts[0].run()

    def put_back(error: DomainError) -> None:
        if isinstance(error, WorkerDied):
            work.fail(error)
            return
        log.warning("The verification waits: %s", error)
        parts[0].put_back(timezone.now() + PAUSE, **error_columns(error))

    ended = carry_out(
        work,
        settings.BUILD_LEASE_SECONDS,
        part_of,
        fail=put_back,
        broke=RegistryError(
            "The look broke on the platform's side; the worker's log says where.",
            hint="Tell the developers.",
        ),
    )
    if not ended or not parts or parts[0].gave_way:
        return
    if work.state == WorkState.QUEUED and not work.error_code:
        wake.send(task_of(work), work.pk)
