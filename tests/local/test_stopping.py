"""Ctrl-C while `make run` is starting: it ends, leaves nothing running, and says so in words."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ri_platform.local import services
from tests.local.make_run import ROOT, await_the_end_of_all, environment, state_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def start(state: Path) -> subprocess.Popen[str]:
    """As `make run` does it, in a process group of its own, which is what a terminal sends Ctrl-C to."""
    return subprocess.Popen(
        ["bash", "tools/run.sh"],
        cwd=ROOT,
        env=environment(state, services.free_port()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def interrupt(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C; what is said from then on."""
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    return said


def says(process: subprocess.Popen[str], words: str) -> str:
    """What it says up to these words; a step's line is not ended while it lasts."""
    assert process.stdout is not None
    said = ""
    while words not in said:
        letter = process.stdout.read(1)
        assert letter, said
        said += letter
    return said


def long(*values: Any) -> list[Any]:
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


# Each time is a whole start: one of a kind in `make test`, and those around it in `make test-long`.
@pytest.mark.parametrize("seconds", [0.1, *long(0.0, 0.03, 0.3, 0.6)])
def test_before_it_has_said_anything(state: Path, seconds: float) -> None:
    process = start(state)
    time.sleep(seconds)
    said = interrupt(process)
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said
    # The shell was interrupted before it became our program (130 is its own way to say so), or the
    # program stopped as told.
    assert process.returncode in (-signal.SIGINT, 130, 0), said


@pytest.mark.parametrize(
    "step",
    [
        "Preparing the database",
        *long(
            "Starting PostgreSQL",
            "Preparing the pages",
            "Starting the local AWS",
            "Preparing accounts",
            "Starting the console",
        ),
    ],
)
def test_during_a_step(state: Path, step: str) -> None:
    process = start(state)
    before = says(process, step)
    said = interrupt(process)
    assert "Traceback" not in before + said
    assert said.splitlines()[-1] == "Stopped.", said
    assert process.returncode == 0
    await_the_end_of_all(state)
