"""A part of a verification: it takes some seconds, and ends sooner when other work waits for its worker."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from images.errors import RegistryError
from images.models import Stage, Verification
from images.models.lease import WorkState, end_columns, error_columns
from images.verification.findings import Finding
from images.verification.pace import Pace

SLICE_SECONDS = 10.0
# Whether other work waits is asked so often.
ASK_SECONDS = 0.5
# Findings that a verification keeps; more would say nothing new.
MAX_FINDINGS = 10_000
GIVEN_WAY = timedelta(seconds=5)
# So many refusals one after the other may be the registry's as a whole.
SEVERAL = 3


class Slice(ABC):
    """A part of a verification, done under its lease; `run` goes on at the row's cursor."""

    def __init__(self, work: Verification, check: Callable[[], None]) -> None:
        self.work, self.check = work, check
        # Verifications at the same time share the pace; each slice looks anew how many there are.
        at_once = Verification.objects.filter(
            state=WorkState.RUNNING, lease_expires_at__gt=timezone.now()
        ).count()
        self.pace = Pace(settings.VERIFY_REQUESTS_PER_SECOND / max(1, at_once))
        self.began = time.monotonic()
        self.findings: list[Finding] = []
        self.seen = 0
        self.gave_way = False
        self._ask_at = 0.0
        # Whether the registry has answered in this slice, and how often it has refused since.
        self._answered, self._refused = False, 0

    @abstractmethod
    def run(self) -> None:
        """Do the part, and leave the rest to the next slice or end the verification."""

    @abstractmethod
    def other_work_waits(self) -> bool:
        """Whether this worker has something to do that comes first."""

    def is_over(self) -> bool:
        """Whether the slice has taken its time, or must give way."""
        now = time.monotonic()
        if now >= self._ask_at:
            self._ask_at = now + ASK_SECONDS
            self.gave_way = self.other_work_waits()
        return self.gave_way or now - self.began > SLICE_SECONDS

    def next_stage(self) -> None:
        stages = list(Stage)
        self.work.stage = stages[stages.index(Stage(self.work.stage)) + 1]
        self.work.cursor = 0

    def note_answer(self) -> None:
        self._answered, self._refused = True, 0

    def concerns_one_alone(self, something_else_answers: Callable[[], bool]) -> bool:
        """Whether what cannot be read now is a matter of one repository, so that the others are looked at.

        If several are refused one after the other, something else is asked.
        """
        self._refused += 1
        if self._answered and self._refused < SEVERAL:
            return True
        if not something_else_answers():
            return False
        self.note_answer()
        return True

    def progress(self) -> dict[str, Any]:
        kept = [*self.work.findings, *(item.to_json() for item in self.findings)]
        return {
            "stage": self.work.stage,
            "cursor": self.work.cursor,
            "name_cursor": self.work.name_cursor,
            "seen": self.work.seen + self.seen,
            "requests": self.work.requests + self.pace.requests,
            "seconds": self.work.seconds + time.monotonic() - self.began,
            "findings": kept[:MAX_FINDINGS],
        }

    def give_back(self) -> None:
        """Leave the rest to the next slice, after a pause if this one gave way."""
        self.put_back(timezone.now() + (GIVEN_WAY if self.gave_way else timedelta()))

    def put_back(self, due_at: Any, **columns: str) -> None:
        """Leave the rest to the next slice, here or elsewhere."""
        values = {**error_columns(None), **columns, **self.progress()}
        self.work.write(
            **{**end_columns(WorkState.QUEUED), **values, "finished_at": None, "due_at": due_at}
        )


def why(error: RegistryError) -> str:
    return f"{error.message} {error.hint}".strip()
