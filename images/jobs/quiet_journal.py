"""A journal that keeps its lines in memory: for work that is of a build, but is not that build's attempt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from images.building.phases import PipelinePhase
from images.jobs.journal import Journal
from images.models import BuildPhase

MAX_LINES = 2000


class QuietJournal(Journal):
    """Takes the place of a build's journal; it writes nothing to the build's row, which has ended."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines[:MAX_LINES])

    def line(self, text: str) -> None:
        self._lines.append("".join(c for c in text if c == "\t" or c.isprintable()))

    def flush(self) -> None:
        pass

    @contextmanager
    def phase(self, phase: BuildPhase) -> Iterator[None]:
        yield

    def begin(self, phase: BuildPhase | PipelinePhase) -> None:
        pass

    def end(self, phase: BuildPhase | PipelinePhase) -> None:
        pass

    def break_off(self) -> None:
        pass
