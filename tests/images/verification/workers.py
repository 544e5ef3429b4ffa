"""Workers without a broker, for what is looked at in the registry and put right there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from images import wake
from images.jobs import (
    adoption,
    attest,
    moving_tags,
    repair,
    repositories,
    sweep,
    upkeep,
    verification,
)
from images.models import Verification
from images.models.lease import WorkState
from images.registry import naming
from images.verification import names
from tests.local_aws import LocalAWS


class Workers:
    """The two workers without a broker: whatever is sent is done at once, under the right identity."""

    def __init__(self, aws: LocalAWS, patch: pytest.MonkeyPatch) -> None:
        self.aws = aws
        self.waiting: list[tuple[wake.Task, int]] = []
        patch.setattr(wake, "send", lambda task, pk: self.waiting.append((task, pk)))

    def work(self) -> None:
        does: dict[wake.Task, Callable[[int], object]] = {
            wake.Task.VERIFY_IMAGES: verification.look_at_images,
            wake.Task.VERIFY_NAMES: verification.look_at_names,
            wake.Task.RESTORE_REPOSITORY: repair.restore_repository,
            wake.Task.PUSH_AGAIN: repair.push_again,
            wake.Task.ADOPT_REPOSITORY: adoption.adopt,
            wake.Task.DELETE_UNKNOWN_REPOSITORY: adoption.delete,
            wake.Task.DELETE_REPOSITORY: repositories.delete_repository,
            wake.Task.TIDY_REPOSITORY: repositories.tidy_repository,
            wake.Task.KEEP_UP_REPOSITORY: upkeep.keep_up,
            wake.Task.MOVE_TAGS: moving_tags.move_tags,
            wake.Task.WRITE_ATTESTATION: attest.write,
        }
        while self.waiting:
            task, pk = self.waiting.pop(0)
            if task in does:
                with self.aws.identity(
                    "build-jobs" if task.queue == "builds" else "registry-server"
                ):
                    does[task](pk)

    def sweep(self) -> set[str]:
        """What is due is done; returns the tasks that were."""
        self.waiting.clear()
        sweep.sweep()
        due = {task.function for task, _ in self.waiting}
        self.work()
        return due

    def verify(self) -> list[str]:
        """A whole look, with the repairs that it asks for; returns the codes that were found."""
        verification.begin()
        self.work()
        done = Verification.objects.latest("pk")
        assert done.state == WorkState.SUCCEEDED, done.error_message
        return [item["code"] for item in done.findings]


def workers_with_registers(
    aws: LocalAWS, patch: pytest.MonkeyPatch, *, but: str | None = None
) -> Workers:
    """Workers of a registry that has the registers of names. With `but`, no base image's repository is left
    there but that one: those of other tests would be repositories of no record.
    """
    if but is not None:
        aws.delete_base_images(but=but)
    names.make_registers(aws.control("registry-server"), naming.DEFAULT_PREFIX)
    return Workers(aws, patch)
