"""The output of the command line: colours on terminals, tables, times, sizes, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ri_platform_sdk.models import Image
from ri_platform_sdk.progress import colour_system

NO_LIMIT = 10_000
STATUS_STYLES = {
    "READY": "green",
    "BUILDING_FIRST_TIME": "cyan",
    "REBUILDING": "cyan",
    "FAILED": "red",
    "OUTDATED": "yellow",
    "succeeded": "green",
    "queued": "cyan",
    "running": "cyan",
    "failed": "red",
    "cancelled": "yellow",
}


def is_terminal() -> bool:
    return sys.stdout.isatty()


def console() -> Console:
    """Colours on a terminal unless `NO_COLOR` is set (no-color.org), elsewhere only with `FORCE_COLOR`.

    On a terminal it is as wide as that, elsewhere as wide as it takes, so that nothing is cut for a program.
    """
    return Console(
        color_system=colour_system(),
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not is_terminal(),
        width=None if is_terminal() else NO_LIMIT,
    )


@contextmanager
def show_waiting(words: str) -> Iterator[None]:
    """Show on a terminal the reason for a wait, as long as it lasts."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True, color_system=colour_system()).status(f"{words} …"):
        yield


def coloured_status(status: str) -> Text:
    return Text(status, style=STATUS_STYLES.get(status, ""))


def print_table(headings: list[str], rows: list[list[str | Text]], *, right: str = "") -> None:
    """A table without lines; `right` names the columns that are aligned there, comma-separated."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        aligned = heading in right.split(",")
        table.add_column(heading, justify="right" if aligned else "left")
    for row in rows:
        table.add_row(*(safe(cell) for cell in row))
    console().print(table)


def print_facts(facts: list[tuple[str, str | Text]]) -> None:
    """Label and value on a line each, never wrapped: references are there to be copied."""
    width = max(10, *(len(label) for label, _ in facts))
    printer = console()
    for label, value in facts:
        line = Text(f"{label:<{width}} ", style="")
        printer.print(line.append_text(value if isinstance(value, Text) else Text(value)),
                      soft_wrap=True)  # fmt: skip


def safe(cell: str | Text) -> Text:
    if isinstance(cell, Text):
        return Text(printable(cell.plain), style=cell.style)
    return Text(printable(cell))


def print_json(value: Any) -> None:
    """A REST answer as it came."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """For the reader, not for what reads the output."""
    click.echo(text, err=True)


def format_moment(moment: datetime | None) -> str:
    """The time from or until a moment on a terminal; elsewhere RFC 3339, which programs sort and read."""
    if moment is None:
        return "-"
    if not is_terminal():
        return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    seconds = (datetime.now(UTC) - moment).total_seconds()
    span = duration(abs(seconds))
    if span == "now":
        return "now"
    return f"{span} ago" if seconds > 0 else f"in {span}"


def duration(seconds: float) -> str:
    """The largest unit that fits, as `3 minutes`; below a second, `now`."""
    units = [(86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")]
    for length, unit in units:
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "now"


def took(begun: datetime | None, ended: datetime | None) -> str:
    return f"{(ended - begun).total_seconds():.1f} s" if begun and ended else "-"


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def size(image: Image) -> str:
    return megabytes(image.size_bytes) if image.current_build else "-"


def printable(text: str) -> str:
    """Text of others without the control characters that steer a terminal, such as escape sequences."""
    return "".join(
        c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text
    )
