"""Services that are started again when they end: after a growing pause, and only so often in a row.

A service that a signal ended is never given up. The signal came from outside, as when the kernel has no
memory left, and so did the reason: a worker's work, which has a limit of its own. The pause grows all the
same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# What has run for so long was not broken from the start: its next end is the first one again.
STEADY_SECONDS = 60.0
# Ends of its own in a row after which a service cannot stay up. The pauses before are 31.5 seconds together.
MOST_ENDS = 7


@dataclass(frozen=True)
class End:
    """How a service ended, as the end of a sentence."""

    how: str
    by_signal: bool = False


class Service(Protocol):
    """Something that runs by itself, and can be started again."""

    name: str

    def end(self) -> End | None:
        """How it ended, or None while it runs."""

    def start_again(self) -> None:
        """Start it. Raises `OSError` or `StartFailed` if that fails."""

    def last_words(self) -> str:
        """Its last lines of output, for whoever asks why it ended."""


class StartFailed(Exception):
    """A service could not be started; the text says why."""


@dataclass(frozen=True)
class GivenUp:
    """A service that cannot stay up."""

    name: str
    how: str
    last_words: str


@dataclass
class Restarts:
    """Keeps one service running. `look` is called a few times a second and never waits for a pause."""

    service: Service
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _begun: float = field(init=False)
    _ends: int = 0
    _ends_of_its_own: int = 0
    _again_at: float | None = None

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def look(self) -> GivenUp | None:
        """Notice an end and, once its pause is over, start the service again."""
        if self._again_at is None:
            end = self.service.end()
            return self._count(end) if end is not None else None
        if self.clock() < self._again_at:
            return None
        self._again_at, self._begun = None, self.clock()
        try:
            self.service.start_again()
        except (OSError, StartFailed) as error:
            return self._count(End(f"could not be started ({error})"))
        return None

    def _count(self, end: End) -> GivenUp | None:
        if self.clock() - self._begun >= STEADY_SECONDS:
            self._ends = self._ends_of_its_own = 0
        self._ends += 1
        self._ends_of_its_own += not end.by_signal
        if self._ends_of_its_own >= MOST_ENDS:
            return GivenUp(self.service.name, end.how, self.service.last_words())
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._ends - 1))
        self._again_at = self.clock() + pause
        self.tell(f"{self.service.name} {end.how}. It is started again in {pause:g} s.")
        return None
