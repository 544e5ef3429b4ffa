"""The supervisor's promise: nothing that it started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ri_platform.local.supervisor import Supervisor


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "run.log")
    yield supervisor
    supervisor.stop()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


SLEEP = "import time; time.sleep(60)"


def test_stop_ends_children_and_what_they_started(supervisor: Supervisor, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    parent = supervisor.start(
        "parent",
        python(
            "import pathlib, subprocess, sys, time;"
            f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]);"
            f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); time.sleep(60)"
        ),
        os.environ,
    )
    until(lambda: note.exists() and note.read_text())
    grandchild = int(note.read_text())
    supervisor.stop()
    assert not alive(parent.process.pid)
    until(lambda: not alive(grandchild))


def test_a_child_that_ends_is_told_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start("steady", python(SLEEP), os.environ)
    supervisor.start("weak", python("print('the reason'); raise SystemExit(3)"), os.environ)
    ended = supervisor.wait(poll=0.01)
    assert ended is not None
    assert (ended.name, ended.process.returncode) == ("weak", 3)
    until(lambda: list(ended.last_lines) == ["the reason"])
    assert "weak     │ the reason" in (tmp_path / "run.log").read_text()


def test_a_supervisor_that_is_killed_takes_its_children_along(tmp_path: Path) -> None:
    note = tmp_path / "child"
    code = (
        "import os, pathlib, sys; from ri_platform.local.supervisor import Supervisor;"
        f"s = Supervisor(pathlib.Path({str(tmp_path / 'log')!r}));"
        f"c = s.start('child', [sys.executable, '-c', {SLEEP!r}], os.environ);"
        f"pathlib.Path({str(note)!r}).write_text(str(c.process.pid)); s.wait()"
    )
    process = subprocess.Popen(python(code))
    until(lambda: note.exists() and note.read_text())
    child = int(note.read_text())
    assert alive(child)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not alive(child))
