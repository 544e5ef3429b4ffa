"""Findings of the doctor, and the table that shows them."""

from __future__ import annotations

import enum
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


class State(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"
    SKIPPED = "skipped"


NOTHING = "Nothing."


@dataclass(frozen=True)
class Finding:
    """One row: what was tried, how it went, and a sentence on what to do about it."""

    what: str
    state: State
    found: str
    to_do: str = NOTHING

    def to_json(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["what"], State(data["state"]), data["found"], data["to_do"])


def ok(what: str, found: str) -> Finding:
    return Finding(what, State.OK, found)


def warning(what: str, found: str, to_do: str) -> Finding:
    return Finding(what, State.WARNING, found, to_do)


def failure(what: str, found: str, to_do: str) -> Finding:
    return Finding(what, State.FAILED, found, to_do)


def skip(what: str, found: str, to_do: str) -> Finding:
    return Finding(what, State.SKIPPED, found, to_do)


def table(findings: Sequence[Finding], width: int | None = None) -> str:
    """The findings as a table of `width` columns of text, the terminal's unless given."""
    whole = max(80, width or shutil.get_terminal_size((120, 24)).columns)
    first = max(len(item.what) for item in findings)
    state = len(State.SKIPPED)
    room = whole - first - state - 3 * 2
    widths = (first, state, room * 3 // 5, room - room * 3 // 5)
    lines = [row(("What", "State", "Found", "To do"), widths), "  ".join("─" * w for w in widths)]
    lines += [row((item.what, item.state, item.found, item.to_do), widths) for item in findings]
    return "\n".join(lines)


def row(cells: Sequence[str], widths: Sequence[int]) -> str:
    wrapped = [
        textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)
    ]
    height = max(len(lines) for lines in wrapped)
    padded = [lines + [""] * (height - len(lines)) for lines in wrapped]
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip(*padded, strict=True)
    )
