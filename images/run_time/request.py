"""The requests of a run to its machine. The platform runs nothing: it keeps them for what does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Both travel as int64 (protobuf).
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class RunRequest:
    """Resources and switches of a run, `None` where nothing is said.

    Memory in megabytes and processor time in thousandths of a core, as Kubernetes requests them. With
    `explicit_errors` a run tells errors that it would pass over; `random_seed` makes its results repeatable.
    """

    ram_megabytes: int | None = None
    cpu_millicores: int | None = None
    explicit_errors: bool | None = None
    random_seed: int | None = None

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> RunRequest:
        """The value that `as_json` stored."""
        return cls(**stored)

    def as_json(self) -> dict[str, int | bool]:
        """What is said."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def over(self, default: RunRequest) -> RunRequest:
        """This request, with what it leaves open taken from `default`."""
        return RunRequest.of_json({**default.as_json(), **self.as_json()})

    def by_title(self) -> dict[str, str]:
        """What is said, as people read it."""
        found = {
            "Memory": f"{self.ram_megabytes:,} MB" if self.ram_megabytes else "",
            "Processor": f"{self.cpu_millicores / 1000:g} cores" if self.cpu_millicores else "",
            "Random seed": "" if self.random_seed is None else str(self.random_seed),
            "Errors": "All are told" if self.explicit_errors else "",
        }
        return {title: text for title, text in found.items() if text}
