"""The slices of a verification that list each image's repository. Run as the registry server."""

from __future__ import annotations

from functools import cached_property

from images.errors import RegistryError, RegistryNotFound, RepositoryMissing
from images.jobs import repository_look, repository_turns
from images.jobs.verification_slice import Slice, why
from images.models import FindingCode, ManagedImage, Stage
from images.registry import connection, naming
from images.registry.ecr.repositories import RepositoryControl
from images.verification import names
from images.verification.findings import Finding

BATCH = 50


class RegistrySlice(Slice):
    """A slice that does the registry server's part."""

    @cached_property
    def prefix(self) -> str:
        return naming.effective_prefix()

    @cached_property
    def control(self) -> RepositoryControl:
        return connection.control()

    def other_work_waits(self) -> bool:
        return repository_turns.somebody_waits()

    def cannot_be_read(self, called: str, name: str, error: RegistryError) -> None:
        """Keep that one repository cannot be read. Raises `RegistryError` if nothing else can be, either."""
        if not self.concerns_one_alone(self.a_register_is_read):
            raise error
        said = f"The repository {called} cannot be read. {why(error)}"
        self.findings.append(Finding(FindingCode.CANNOT_BE_READ, name, said))

    def a_register_is_read(self) -> bool:
        for digit in names.DIGITS[:2]:
            try:
                self.control.describe_images(names.register_of(self.prefix, digit))
            except RegistryNotFound:
                return True
            except RegistryError:
                continue
            return True
        return False


class ListingSlice(RegistrySlice):
    def run(self) -> None:
        """List repositories from the cursor on, for as long as a slice takes, and one at least."""
        ready = ManagedImage.objects.existing().filter(repository_ready_at__isnull=False)
        looked = False
        while self.work.stage == Stage.BUILDS and not (looked and self.is_over()):
            rows = list(ready.filter(pk__gt=self.work.cursor).order_by("pk")[:BATCH])
            if not rows:
                self.next_stage()
            for image in rows:
                self.look_at(image)
                self.work.cursor, looked = image.pk, True
                if self.is_over():
                    break
        self.give_back()

    def look_at(self, image: ManagedImage) -> None:
        self.check()
        self.pace.wait()
        try:
            self.findings += repository_look.look(self.control, image).findings
        except RepositoryMissing:
            pass  # A drift of its builds, if any is in use.
        except RegistryError as error:
            self.cannot_be_read(f"of {image.name}", image.name, error)
            return
        self.note_answer()
