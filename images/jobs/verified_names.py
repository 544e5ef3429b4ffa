"""The slices of a verification that look for repositories of no record, and its end.

They run as the registry server.
The places at which names stand are looked at one after the other: `cursor` is the place's number, and
`name_cursor` the last name of it that was looked at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from images.errors import RegistryError, RepositoryMissing
from images.jobs import upkeep
from images.jobs.verification_slice import SLICE_SECONDS
from images.jobs.verified_listings import RegistrySlice
from images.models import BaseImage, Drift, FindingCode, ImageCount, ManagedImage
from images.models.lease import WorkState, end_columns
from images.operations import unknown_repositories
from images.verification import names, records
from images.verification.findings import Finding
from images.verification.rows import promised_bases, promised_builds

log = logging.getLogger(__name__)


class NameSlice(RegistrySlice):
    def run(self) -> None:
        """Look at names from the cursor on for as long as a slice takes; after the last, end all."""
        while self.work.cursor < len(names.PLACES):
            if not self.look_at_place(names.PLACES[self.work.cursor]):
                self.give_back()
                return
            self.work.cursor, self.work.name_cursor = self.work.cursor + 1, ""
            if self.is_over():
                self.give_back()
                return
        unknown_repositories.forget_gone(self.work.created_at)
        unknown_repositories.forget_superseded()
        end_forgotten()
        self.findings += records.findings()
        if any(item.code == FindingCode.COUNT_WRONG for item in self.findings):
            ImageCount.objects.count_again()
        if self.work.by_platform:
            self.put_base_policies()
        self.work.succeed(**self.progress())

    def put_base_policies(self) -> None:
        """Put the policy of each base repository again, as no documented action tells whether it is there."""
        ready = BaseImage.objects.filter(repository_ready_at__isnull=False).order_by()
        for repository in ready.values_list("repository", flat=True).distinct():
            self.check()
            self.pace.wait()
            try:
                self.control.put_lifecycle_policy(repository)
            except RepositoryMissing:
                pass  # A drift of its base images, if any is in use.
            except RegistryError as error:
                log.warning("The policy of %s cannot be put again: %s", repository, error)
                upkeep.record_refusal(repository, error)
                continue
            upkeep.record_kept(repository)

    def look_at_place(self, place: str) -> bool:
        """Look at what may stand at one place, one name at least; whether that was all."""
        wanted = [name for name in self.names_at(place) if name > self.work.name_cursor]
        # Reading a register takes seconds of its own.
        until = time.monotonic() + SLICE_SECONDS
        for number, name in enumerate(wanted):
            if number and (self.is_over() or time.monotonic() > until):
                return False
            self.look_for(name)
            self.work.name_cursor = name
        return True

    def names_at(self, place: str) -> Sequence[str]:
        self.check()
        if place == names.BASES:
            return names.base_candidates(self.prefix)
        made = False
        try:
            made = names.make_register(self.control, self.prefix, place)
        except RegistryError as error:
            # Whether AWS lets us make them is no condition for looking.
            log.warning("The names of images cannot be entered: %s", error)
            upkeep.record_refusal(names.register_of(self.prefix, place), error)
        else:
            upkeep.record_kept(names.register_of(self.prefix, place))
        entered = names.entered_names(self.control, self.prefix, place, self.pace)
        if entered is not None and not self.work.name_cursor:
            self.have_entered_again(place, entered, made)
        return names.candidates(self.prefix, place, {*(entered or ()), *self.work.more_names})

    def have_entered_again(self, place: str, entered: set[str], made: bool) -> None:
        """Have the next look enter the names that the register has lost, as after somebody deleted it."""
        before = ManagedImage.objects.existing().filter(entered_at__isnull=False)
        known = names.standing_at(self.prefix, place, before.values_list("name", flat=True))
        lost = known - entered
        before.filter(name__in=lost).update(entered_at=None)
        if lost and made:
            register = names.register_of(self.prefix, place)
            said = (
                f"The repository {register}, a list of images' names, was gone. It is made anew, and the "
                f"next look enters {len(lost)} names of images again; those of removed images are lost."
            )
            self.findings.append(Finding(FindingCode.NAMES_LOST, register, said))

    def look_for(self, name: str) -> None:
        """Look for one repository. Raises `RegistryError` if nothing else can be read, either."""
        self.check()
        self.pace.wait()
        try:
            found = names.look_for(self.control, self.prefix, name)
        except RegistryError as error:
            self.cannot_be_read(name, name, error)
            unknown_repositories.record_unread(name)
            return
        self.note_answer()
        if found is not None:
            unknown_repositories.record_found(found)
            self.findings.append(found.finding)


def end_forgotten() -> None:
    """Close drifts of builds and base images that are no longer in use: nobody needs them any more."""
    over = end_columns(WorkState.CANCELLED)
    waiting = Drift.objects.open().exclude(state=WorkState.RUNNING)
    builds = promised_builds().order_by().values("pk")
    waiting.filter(build__isnull=False).exclude(build__in=builds).update(**over)
    bases = promised_bases().order_by().values("pk")
    waiting.filter(base_image__isnull=False).exclude(base_image__in=bases).update(**over)
