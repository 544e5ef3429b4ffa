"""One run of a scenario: what was asked for, how long it took to recover, and what the verifier says."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.faults.installation import Installation

READY, FAILED = "STATUS_READY", "STATUS_FAILED"


@dataclass
class Run:
    """The scenario's view of the installation. `expected` is the status that each accepted image must end in;
    several where the fault may be told as a failure.
    """

    installation: Installation
    chance: random.Random
    expected: dict[str, Sequence[str]] = field(default_factory=dict)
    # Other seconds that are told, by what they are of.
    measured: dict[str, float] = field(default_factory=dict)
    _number: int = field(default_factory=partial(next, itertools.count()))
    _began_at: float = field(default_factory=time.monotonic)
    _fault_ended_at: float = 0.0
    _settled_at: float = 0.0

    def name(self, what: str) -> str:
        return f"run-{self._number}-{what}"

    def load(
        self, count: int, *, ends: Sequence[str] = (READY,), prefix: str = "load"
    ) -> list[str]:
        """Ask for so many images, several at a time; all must end so."""
        names = [self.name(f"{prefix}-{number}") for number in range(count)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.installation.create, names))
        for name in names:
            self.expected[name] = ends
        return names

    def fault_ended(self) -> None:
        """From now on the instance may recover."""
        self._fault_ended_at = time.monotonic()

    def finish(self) -> str:
        """Wait for all ends and have all verified; gives what is wrong."""
        self._fault_ended_at = self._fault_ended_at or time.monotonic()
        self.installation.settle()
        self._settled_at = time.monotonic()
        self.installation.await_attestations()
        return "; ".join(map(str, self.problems()))

    def delete_images(self) -> None:
        """Have the images deleted for good, and wait for nothing."""
        for name in self.expected:
            self.installation.ask("DELETE", f"/v1/images/{name}", user="admin")
            self.installation.ask("POST", f"/v1/images/{name}:delete", {}, user="admin")

    @property
    def recovery(self) -> float:
        """The seconds from the fault's end to the last end of a request."""
        return max(0.0, self._settled_at - self._fault_ended_at)

    @property
    def whole(self) -> float:
        return time.monotonic() - self._began_at

    def problems(self) -> list[Any]:
        found: list[Any] = self.installation.new_findings()
        for name, ends in self.expected.items():
            image = self.installation.image(name)
            status = image["status"] if image else "lost"
            if status not in ends:
                found.append(
                    f"{name} ended as {status}, not as {' or '.join(ends)}: {reason_of(image)}"
                )
            elif status == FAILED and not reason_of(image):
                found.append(f"{name} failed without a reason")
        if self.installation.outside() != self.installation.foreign:
            found.append("something outside the prefix was touched")
        return found


def reason_of(image: dict[str, Any] | None) -> str:
    error = ((image or {}).get("latestBuild") or {}).get("error") or {}
    return str(error.get("message") or error or "")
