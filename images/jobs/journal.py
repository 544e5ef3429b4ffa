"""The journal of a running build: its log as it is produced, and the duration of each phase.

It is written twice a second, so that what is over sooner costs no writing; its end is written with the
build's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images.building.phases import PipelinePhase
from images.errors import BuildTimedOut
from images.models import Build, BuildLogChunk, BuildPhase
from ri_platform.metrics import BUILD_PHASE_SECONDS

FLUSH_SECONDS = 0.5
# A runaway tool must not fill the database: 2 million characters are far above an honest build.
MAX_LOG_CHARACTERS = 2_000_000


class Journal:
    """Writes a build's log and timings under its fencing token. Used from the build's thread only."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._pending: list[str] = []
        self._open: dict[BuildPhase, float] = {}
        self._flushed_at = time.monotonic()
        last = build.log_chunks.order_by("-offset").first()
        self._offset = last.offset + len(last.text) if last else 0
        self._is_behind = False
        self._thread = threading.get_ident()

    def line(self, text: str) -> None:
        """Add one line. Control characters but tabs are dropped, so a log cannot fool its reader."""
        cleaned = "".join(c for c in text if c == "\t" or c.isprintable())
        self._pending.append(cleaned + "\n")
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write what is new, unless that was done a moment ago. Whatever asks in another thread is passed
        over.
        """
        if (
            time.monotonic() - self._flushed_at >= FLUSH_SECONDS
            and threading.get_ident() == self._thread
        ):
            self.flush()

    def flush(self) -> None:
        """Write what is new: lines, the phase, and the phases' times."""
        self._flushed_at = time.monotonic()
        if not (self._pending or self._is_behind):
            return
        with transaction.atomic():
            # The fenced write first: a worker that lost its lease adds nothing to the log.
            self._build.write(**self.columns)
            self.write_lines()
        self._is_behind = False

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the build that tell how far it is."""
        return {"phase": self._build.phase, "timings": self._build.timings}

    def write_lines(self) -> None:
        """Write the lines that are new, in a transaction that has made sure of the lease."""
        text = "".join(self._pending)[: max(0, MAX_LOG_CHARACTERS - self._offset)]
        self._pending.clear()
        if text:
            BuildLogChunk.objects.create(build=self._build, offset=self._offset, text=text)
            self._offset += len(text)

    @contextmanager
    def phase(self, phase: BuildPhase) -> Iterator[None]:
        """A phase that nothing overlaps. If it fails, `break_off` tells so.

        It is written at once: the thread that writes may be in one long call next.
        """
        self.begin(phase)
        self.flush()
        yield
        self.end(phase)

    def check(self) -> None:
        """Raise `BuildTimedOut` if a phase that is open takes too long."""
        now = time.monotonic()
        for phase, begun in list(self._open.items()):
            limit = settings.PHASE_SECONDS.get(phase.value)
            if limit is not None and now - begun > limit:
                raise BuildTimedOut(
                    f"The step {phase.label} did not end within {limit} seconds.",
                    hint="The build's log tells how far it came. An operator can change RI_PHASE_SECONDS.",
                )

    def begin(self, phase: BuildPhase | PipelinePhase) -> None:
        """Start the clock of a phase; several may run at a time."""
        phase = BuildPhase(phase)
        self._open[phase] = time.monotonic()
        timing = {"started_at": timezone.now().isoformat(), "seconds": None}
        self._build.phase = phase.value
        self._build.timings = {**self._build.timings, phase.value: timing}
        self._is_behind = True
        self.line(f"── {phase.label}")

    def end(self, phase: BuildPhase | PipelinePhase) -> None:
        """Stop the clock of a phase that was begun."""
        phase = BuildPhase(phase)
        timing = self._stop(phase)
        self._build.timings = {**self._build.timings, phase.value: timing}
        self._is_behind = True
        BUILD_PHASE_SECONDS.labels(phase.value).observe(timing["seconds"])
        self.flush_if_due()

    def break_off(self) -> None:
        """Mark what is still running as failed, for the caller to write with the build's end."""
        for phase in list(self._open):
            self._build.timings[phase.value] = {**self._stop(phase), "failed": True}

    def _stop(self, phase: BuildPhase) -> dict[str, Any]:
        seconds = round(time.monotonic() - self._open.pop(phase), 3)
        return {**self._build.timings[phase.value], "seconds": seconds}
