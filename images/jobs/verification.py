"""Verifications in slices: the build jobs look at images, the registry server for repositories of no record.

A slice ends when somebody's build waits, so a look at everything keeps nobody waiting; the cursor is in the
row, so another worker goes on, also after a crash.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import wake
from images.errors import RegistryError, RepositoryMissing, WorkerDied
from images.jobs import name_entry, repository_look
from images.jobs.leased import Holder, carry_out
from images.models import (
    BaseImage,
    Build,
    Drift,
    FindingCode,
    ImageCount,
    ManagedImage,
    Stage,
    Verification,
)
from images.models.lease import WorkState, end_columns, error_columns
from images.operations import drift as drifts
from images.operations import unknown_repositories
from images.registry import connection, naming
from images.verification import names, records
from images.verification.contents import Look, Promise
from images.verification.findings import Finding
from images.verification.pace import Pace
from images.verification.rows import promised_bases, promised_builds
from ri_platform.errors import DomainError
from workspaces import audit

log = logging.getLogger(__name__)

SLICE_SECONDS = 10.0
BATCH = 50
# Findings that a verification keeps; more would say nothing new.
MAX_FINDINGS = 10_000
PAUSE = timedelta(seconds=30)
GIVEN_WAY = timedelta(seconds=5)
LOOK_STAGES = (Stage.IMAGES, Stage.BASE_IMAGES)
LISTING_STAGES = (Stage.BUILDS, Stage.NAMES)
# Verifications are kept for so long, to compare.
KEPT = timedelta(days=30)


def begin_due() -> None:
    """Begin the platform's own look if it is time, and none is under way."""
    minutes = settings.VERIFY_MINUTES if settings.IMAGE_REGISTRY_ENABLED else 0
    since = timezone.now() - timedelta(minutes=minutes)
    recent = Verification.objects.filter(created_at__gt=since).exists()
    if not minutes or recent or Verification.objects.active().exists():
        return
    Verification.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
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
    run_slice(verification_id, LOOK_STAGES, Slice.images)


def look_at_names(verification_id: int) -> None:
    """Do a slice of the listings, or the last part, which ends it. Runs as the registry server."""
    run_slice(verification_id, LISTING_STAGES, Slice.listings)


def run_slice(verification_id: int, stages: Sequence[Stage], run: Callable[[Slice], None]) -> None:
    """Claim a verification at one of these stages, and do a part of it; AWS's refusals are tried again."""
    mine = Verification.objects.filter(stage__in=stages)
    work = mine.claim(verification_id, settings.BUILD_LEASE_SECONDS)
    if work is None:
        return
    parts: list[Slice] = []

    def part_of(holder: Holder) -> None:
        parts.append(Slice(work, holder.check))
        run(parts[0])

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


class Slice:
    """A part of a verification, done under its lease."""

    def __init__(self, work: Verification, check: Callable[[], None]) -> None:
        self.work, self.check = work, check
        self.pace = Pace(settings.VERIFY_REQUESTS_PER_SECOND)
        self.began = time.monotonic()
        self.findings: list[Finding] = []
        self.seen = 0
        self.gave_way = False

    def images(self) -> None:
        """Look at images from the cursor on, for as long as a slice takes."""
        with (
            connection.registry_client() as client,
            Look(client, pace=self.pace, deep=self.work.deep, check=self.check) as look,
        ):
            while not self.is_over():
                rows = self.next_rows()
                if not rows:
                    self.next_stage()
                    if self.work.stage not in LOOK_STAGES:
                        break
                    continue
                drifted = drifted_of(rows)
                for row in rows:
                    self.look_at(look, row, drifted)
                    if isinstance(row, Build) and row.pk == row.image.current_build_id:
                        name_entry.enter(row.image, client)
                    self.work.cursor = row.pk
                    if self.is_over():
                        break
        later = timezone.now() + GIVEN_WAY if self.gave_way else timezone.now()
        self.put_back(later)

    def is_over(self) -> bool:
        """Whether the slice has taken its time, or a build waits."""
        if time.monotonic() - self.began > SLICE_SECONDS:
            return True
        self.gave_way = Build.objects.startable().filter(state=WorkState.QUEUED).exists()
        return self.gave_way and self.seen > 0

    def next_rows(self) -> list[Build | BaseImage]:
        if self.work.stage == Stage.IMAGES:
            found = promised_builds().filter(pk__gt=self.work.cursor, pk__lte=self.work.upto)
            return list(found[:BATCH])
        return list(promised_bases().filter(pk__gt=self.work.cursor)[:BATCH])

    def next_stage(self) -> None:
        stages = list(Stage)
        self.work.stage = stages[stages.index(Stage(self.work.stage)) + 1]
        self.work.cursor = 0

    def look_at(self, look: Look, row: Build | BaseImage, drifted: set[int]) -> None:
        found = look.at(Promise.of(row))
        self.seen += 1
        if not found:
            if row.pk in drifted:
                drifts.record_sound(row, deep=self.work.deep)
            return
        if not is_promised(row):
            return  # Removed or built anew while it was looked at.
        self.findings += found
        drift = drifts.record_drift(
            row,
            [item.code for item in found],
            [item.said for item in found],
            deep=self.work.deep,
        )
        if drift is not None:
            log.warning("Drift: %s", "; ".join(item.said for item in found))
            if not drift.is_healable:
                log.warning("Only people can put that right.")

    def listings(self) -> None:
        """List each image's repository from the cursor on; what is of no record comes last."""
        while self.work.stage == Stage.BUILDS:
            ready = ManagedImage.objects.existing().filter(repository_ready_at__isnull=False)
            rows = ready.filter(pk__gt=self.work.cursor).order_by("pk")[:BATCH]
            if not rows:
                self.next_stage()
            for image in rows:
                if time.monotonic() - self.began > SLICE_SECONDS:
                    self.put_back(timezone.now())
                    return
                self.look_at_listing(image)
                self.work.cursor = image.pk
        self.names()

    def look_at_listing(self, image: ManagedImage) -> None:
        self.check()
        self.pace.wait()
        # One that is gone is a drift of its builds, if any is in use.
        with suppress(RepositoryMissing):
            self.findings += repository_look.look(connection.control(), image).findings

    def names(self) -> None:
        """Look for repositories of no record, and for what is wrong among the records; then end."""
        prefix = naming.effective_prefix()
        control = connection.control()
        try:
            names.make_registers(control, prefix)
        except RegistryError as error:
            # Whether AWS lets us make them is no condition for looking.
            log.warning("The names of images cannot be entered: %s", error)
        found = list(
            names.unknown_repositories(control, prefix, pace=self.pace, more=self.work.more_names)
        )
        unknown_repositories.record_found(found)
        unknown_repositories.forget_superseded()
        end_forgotten()
        self.findings += [item.finding for item in found]
        self.findings += records.findings()
        if any(item.code == FindingCode.COUNT_WRONG for item in self.findings):
            ImageCount.objects.count_again()
        self.work.succeed(**self.progress())

    def progress(self) -> dict[str, Any]:
        kept = [*self.work.findings, *(item.to_json() for item in self.findings)]
        return {
            "stage": self.work.stage,
            "cursor": self.work.cursor,
            "seen": self.work.seen + self.seen,
            "requests": self.work.requests + self.pace.requests,
            "seconds": self.work.seconds + time.monotonic() - self.began,
            "findings": kept[:MAX_FINDINGS],
        }

    def put_back(self, due_at: Any, **columns: str) -> None:
        """Leave the rest to the next slice, here or elsewhere."""
        values = {**error_columns(None), **columns, **self.progress()}
        self.work.write(
            **{**end_columns(WorkState.QUEUED), **values, "finished_at": None, "due_at": due_at}
        )


def drifted_of(rows: Sequence[Build | BaseImage]) -> set[int]:
    """The keys of those rows that have an open drift."""
    column = "build" if isinstance(rows[0], Build) else "base_image"
    keys = [row.pk for row in rows]
    found = Drift.objects.open().filter(**{f"{column}__in": keys})
    return set(found.values_list(column, flat=True))


def is_promised(row: Build | BaseImage) -> bool:
    found = promised_builds() if isinstance(row, Build) else promised_bases()
    return found.filter(pk=row.pk).exists()


def end_forgotten() -> None:
    """Close drifts of builds and base images that are no longer in use: nobody needs them any more."""
    over = end_columns(WorkState.CANCELLED)
    waiting = Drift.objects.open().exclude(state=WorkState.RUNNING)
    builds = promised_builds().order_by().values("pk")
    waiting.filter(build__isnull=False).exclude(build__in=builds).update(**over)
    bases = promised_bases().order_by().values("pk")
    waiting.filter(base_image__isnull=False).exclude(base_image__in=bases).update(**over)
