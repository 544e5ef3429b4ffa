"""One run of a scenario: what was asked for, how long it took to recover, and what the verifier says."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.instance import Instance

READY, FAILED = "STATUS_READY", "STATUS_FAILED"


@dataclass
class Run:
    """The scenario's view of the instance. `expected` is the status that each accepted image must end in;
    several where the fault may be told as a failure.
    """

    instance: Instance
    number: int
    chance: random.Random
    expected: dict[str, Sequence[str]] = field(default_factory=dict)
    _ended_at: float = 0.0

    def name(self, what: str) -> str:
        return f"run-{self.number}-{what}"

    def load(
        self, count: int, *, ends: Sequence[str] = (READY,), prefix: str = "load"
    ) -> list[str]:
        """Ask for so many images, several at a time; all must end so."""
        names = [self.name(f"{prefix}-{number}") for number in range(count)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.instance.create, names))
        for name in names:
            self.expected[name] = ends
        return names

    def fault_ended(self) -> None:
        """From now on the instance may recover."""
        self._ended_at = time.monotonic()

    def finish(self) -> float:
        """Wait for all ends and have all verified; the seconds since the fault's end."""
        self._ended_at = self._ended_at or time.monotonic()
        self.instance.settle()
        seconds = time.monotonic() - self._ended_at
        assert not self.problems()
        return seconds

    def problems(self) -> list[Any]:
        found: list[Any] = list(self.instance.findings())
        for name, ends in self.expected.items():
            image = self.instance.image(name)
            status = image["status"] if image else "lost"
            if status not in ends:
                found.append(
                    f"{name} ended as {status}, not as {' or '.join(ends)}: {reason_of(image)}"
                )
            elif status == FAILED and not reason_of(image):
                found.append(f"{name} failed without a reason")
        if self.instance.outside() != self.instance.foreign:
            found.append("something outside the prefix was touched")
        return found


def reason_of(image: dict[str, Any] | None) -> str:
    error = ((image or {}).get("latestBuild") or {}).get("error") or {}
    return str(error.get("message") or error or "")


@dataclass
class Table:
    """Recovery times by scenario."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, scenario: str, seconds: float) -> None:
        self.seconds.setdefault(scenario, []).append(seconds)

    def lines(self) -> Iterator[str]:
        yield "| scenario | runs | median | worst |"
        yield "| --- | --- | --- | --- |"
        for scenario, seconds in sorted(self.seconds.items()):
            yield f"| {scenario} | {len(seconds)} | {median(seconds):.1f} s | {max(seconds):.1f} s |"

    def keep(self, path: Path) -> None:
        path.write_text(json.dumps(self.seconds, indent=1))


TABLE = Table()
Scenario = Callable[[Run], None]
