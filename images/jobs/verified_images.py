"""The slices of a verification that look at images and base images. Run as the build jobs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from images.errors import RegistryError
from images.jobs import name_entry, turns
from images.jobs.verification_slice import Slice, why
from images.models import BaseImage, Build, Drift, FindingCode, Stage
from images.models.lane import Lane
from images.operations import drift as drifts
from images.queries import fair_queue
from images.registry import connection
from images.registry.distribution.client import RegistryClient
from images.verification.contents import Look, Promise
from images.verification.findings import Finding
from images.verification.rows import promised_bases, promised_builds

log = logging.getLogger(__name__)

BATCH = 50
LOOK_STAGES = (Stage.IMAGES, Stage.BASE_IMAGES)


class ImageSlice(Slice):
    def run(self) -> None:
        """Look at images from the cursor on, for as long as a slice takes, and at one at least."""
        with (
            connection.registry_client() as client,
            Look(client, pace=self.pace, deep=self.work.deep, check=self.check) as look,
        ):
            while self.work.stage in LOOK_STAGES and not (self.is_over() and self.seen):
                rows = self.next_rows()
                if not rows:
                    self.next_stage()
                    continue
                drifted = drifted_of(rows)
                for row in rows:
                    self.look_at(look, client, row, drifted)
                    self.work.cursor = row.pk
                    if self.is_over():
                        break
        self.give_back()

    def other_work_waits(self) -> bool:
        """Whether a worker of the lane could start something. What nobody can do now does not count."""
        waiting = fair_queue.next_in(Lane.BUILDS, turns.startable(Lane.BUILDS))
        return next(waiting, None) is not None

    def next_rows(self) -> list[Build | BaseImage]:
        if self.work.stage == Stage.IMAGES:
            found = promised_builds().filter(pk__gt=self.work.cursor, pk__lte=self.work.upto)
            return list(found[:BATCH])
        return list(promised_bases().filter(pk__gt=self.work.cursor)[:BATCH])

    def look_at(
        self, look: Look, client: RegistryClient, row: Build | BaseImage, drifted: set[int]
    ) -> None:
        """Look at one image. Raises `RegistryError` if nothing else can be read, either."""
        try:
            found = look.at(Promise.of(row))
            self.note(row, found, drifted)
            if isinstance(row, Build) and row.pk == row.image.current_build_id:
                name_entry.enter(row.image, client)
        except RegistryError as error:
            if not self.concerns_one_alone(lambda: another_is_read(look, row)):
                raise
            if is_promised(row):
                promise = Promise.of(row)
                said = f"{promise.called} cannot be read. {why(error)}"
                said = said[0].upper() + said[1:]
                self.findings.append(promise.finding(FindingCode.CANNOT_BE_READ, said))
        else:
            self.note_answer()
        self.seen += 1

    def note(self, row: Build | BaseImage, found: Sequence[Finding], drifted: set[int]) -> None:
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


def another_is_read(look: Look, but: Build | BaseImage) -> bool:
    """Whether one of a few other images can be read, wholly as this one was to be."""
    others = [promised_builds().first(), promised_builds().last(), promised_bases().first()]
    for row in others:
        if row is None or row == but:
            continue
        try:
            look.at(Promise.of(row))
        except RegistryError:
            continue
        return True
    return False


def drifted_of(rows: Sequence[Build | BaseImage]) -> set[int]:
    """The keys of those rows that have an open drift."""
    column = "build" if isinstance(rows[0], Build) else "base_image"
    keys = [row.pk for row in rows]
    found = Drift.objects.open().filter(**{f"{column}__in": keys})
    return set(found.values_list(column, flat=True))


def is_promised(row: Build | BaseImage) -> bool:
    found = promised_builds() if isinstance(row, Build) else promised_bases()
    return found.filter(pk=row.pk).exists()
