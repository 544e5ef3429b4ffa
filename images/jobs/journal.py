"""The journal of a running build: its log as it is produced, and the duration of each phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.utils import timezone

from images.building.phases import PipelinePhase
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

    def line(self, text: str) -> None:
        """Add one line. Control characters but tabs are dropped, so a log cannot fool its reader."""
        cleaned = "".join(c for c in text if c == "\t" or c.isprintable())
        self._pending.append(cleaned + "\n")
        if time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._flushed_at = time.monotonic()
        text = "".join(self._pending)
        self._pending.clear()
        room = MAX_LOG_CHARACTERS - self._offset
        if not text or room <= 0:
            return
        text = text[:room]
        with transaction.atomic():
            # The fenced write first: a worker that lost its lease adds nothing to the log.
            self._build.write(phase=self._build.phase)
            BuildLogChunk.objects.create(build=self._build, offset=self._offset, text=text)
        self._offset += len(text)

    @contextmanager
    def phase(self, phase: BuildPhase) -> Iterator[None]:
        """A phase that nothing overlaps. If it fails, `break_off` tells so."""
        self.begin(phase)
        yield
        self.end(phase)

    def begin(self, phase: BuildPhase | PipelinePhase) -> None:
        """Start the clock of a phase; several may run at a time."""
        phase = BuildPhase(phase)
        self._open[phase] = time.monotonic()
        timing = {"started_at": timezone.now().isoformat(), "seconds": None}
        self._build.write(phase=phase.value, timings={**self._build.timings, phase.value: timing})
        self.line(f"── {phase.label}")

    def end(self, phase: BuildPhase | PipelinePhase) -> None:
        """Stop the clock of a phase that was begun."""
        phase = BuildPhase(phase)
        timing = self._stop(phase)
        self._build.write(timings={**self._build.timings, phase.value: timing})
        BUILD_PHASE_SECONDS.labels(phase.value).observe(timing["seconds"])
        self.flush()

    def break_off(self) -> None:
        """Mark what is still running as failed, for the caller to write with the build's end."""
        for phase in list(self._open):
            self._build.timings[phase.value] = {**self._stop(phase), "failed": True}

    def _stop(self, phase: BuildPhase) -> dict[str, Any]:
        seconds = round(time.monotonic() - self._open.pop(phase), 3)
        return {**self._build.timings[phase.value], "seconds": seconds}
