"""A line on the terminal during a wait for a build: its phase, its progress, and the time."""

from __future__ import annotations

import os
import sys
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ri_platform_sdk.models import Image


def colour_system() -> Literal["auto"] | None:
    """No colours where `NO_COLOR` says so (no-color.org), or where the terminal knows none."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return None if plain else "auto"


class ProgressBar:
    """Shows the phases of an image's newest build; silent where there is no terminal."""

    def __init__(self, name: str, *, enabled: bool = True) -> None:
        console = Console(stderr=True, color_system=colour_system())
        self._progress = Progress(
            TextColumn("{task.fields[image]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            disable=not (enabled and sys.stderr.isatty()),
            transient=True,
        )
        self._task = self._progress.add_task("Waiting", image=name, total=None)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def show(self, image: Image) -> None:
        """Bring the line up to date."""
        build = image.latest_build
        if build is None or build.state == "queued":
            return
        done = sum(step.state == "done" for step in build.steps)
        running = [step.label for step in build.steps if step.state == "running"]
        self._progress.update(
            self._task,
            description=running[0] if running else image.status.capitalize(),
            completed=done,
            total=len(build.steps),
        )
