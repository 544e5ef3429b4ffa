"""The phases of the layer pipeline, and the protocol by which it reports them."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class PipelinePhase(StrEnum):
    """The phases that the pipeline goes through; each is a `BuildPhase` of the same value."""

    FETCH = "fetch"
    LAYERS = "layers"
    PUSH = "push"


class Reporter(Protocol):
    """A receiver of progress: the journal of a build, or the log of a worker."""

    def line(self, text: str) -> None: ...

    def begin(self, phase: PipelinePhase) -> None: ...

    def end(self, phase: PipelinePhase) -> None: ...
