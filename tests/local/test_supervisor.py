"""The supervisor's promises: nothing that it started outlives it, and what ends is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ri_platform.local import restarts
from ri_platform.local.state import open_state
from ri_platform.local.supervisor import STOP_SIGNALS, Supervisor

pytestmark = pytest.mark.slow


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


def stop_after(supervisor: Supervisor, condition: Callable[[], object]) -> threading.Thread:
    """Have `keep_up` return once the condition holds, as a signal would."""

    def watch() -> None:
        try:
            until(condition, 30)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Supervisor, list[str]]]:
    """A supervisor that handles signals, and what it tells."""
    sentences: list[str] = []
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    supervisor = Supervisor(tmp_path / "run.log", tell=sentences.append)
    supervisor.handle_signals()
    yield supervisor, sentences
    supervisor.stop()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_child_that_is_killed_is_started_again_and_told(
    told: tuple[Supervisor, list[str]], tmp_path: Path
) -> None:
    supervisor, sentences = told
    child = supervisor.start("web", python(SLEEP), os.environ)
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    thread = stop_after(supervisor, lambda: child.process.pid != first)
    assert supervisor.keep_up(poll=0.01) is None
    thread.join()
    assert sentences == ["web was ended by the signal SIGKILL. It is started again in 0.5 s."]
    assert sentences[0] in (tmp_path / "run.log").read_text()
    assert alive(child.process.pid)


def test_what_a_killed_child_leaves_behind_does_not_keep_its_port(
    told: tuple[Supervisor, list[str]], tmp_path: Path
) -> None:
    supervisor, _ = told
    note = tmp_path / "grandchild"
    child = supervisor.start(
        "web",
        python(
            "import pathlib, subprocess, sys, time;"
            f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]);"
            f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); time.sleep(60)"
        ),
        os.environ,
    )
    until(lambda: note.exists() and note.read_text())
    left = int(note.read_text())
    os.kill(child.process.pid, signal.SIGKILL)
    thread = stop_after(supervisor, lambda: not alive(left))
    assert supervisor.keep_up(poll=0.01) is None
    thread.join()


def test_a_child_that_cannot_stay_up_is_given_up_with_its_last_words(
    told: tuple[Supervisor, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "FIRST_PAUSE", 0.01)
    supervisor, sentences = told
    supervisor.start("steady", python(SLEEP), os.environ)
    supervisor.start("weak", python("print('the reason'); raise SystemExit(3)"), os.environ)
    given_up = supervisor.keep_up(poll=0.01)
    assert given_up is not None
    assert (given_up.name, given_up.how) == ("weak", "ended with status 3")
    assert given_up.last_words == "the reason"
    assert len(sentences) == restarts.MOST_ENDS - 1


STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)"
)


def kill_one_with_a_child(folder: Path, code: str, *, said: str = "") -> int:
    """Kill a supervisor whose child runs the code, once the child said that; gives the child's process id."""
    note, log = folder / "child", folder / "log"
    process = subprocess.Popen(
        python(
            "import os, pathlib; from ri_platform.local.state import open_state;"
            "from ri_platform.local.supervisor import Supervisor;"
            f"state = open_state(pathlib.Path({str(folder / 'state')!r})); lock = state.__enter__();"
            f"s = Supervisor(pathlib.Path({str(log)!r}), lock=lock);"
            f"c = s.start('child', {[sys.executable, '-uc', code]!r}, os.environ);"
            f"pathlib.Path({str(note)!r}).write_text(str(c.process.pid)); s.keep_up()"
        )
    )
    until(lambda: note.exists() and note.read_text() and said in log.read_text())
    child = int(note.read_text())
    assert alive(child)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return child


def test_a_supervisor_that_is_killed_takes_its_children_along(tmp_path: Path) -> None:
    child = kill_one_with_a_child(tmp_path, SLEEP)
    until(lambda: not alive(child))


def test_a_supervisor_that_is_killed_takes_along_who_does_not_end_when_told(tmp_path: Path) -> None:
    """granian may wait for itself for ever if it is told to end twice, as the kernel does."""
    child = kill_one_with_a_child(tmp_path, STUBBORN, said="1")
    until(lambda: not alive(child))


def test_the_next_start_waits_for_what_a_killed_one_has_left(tmp_path: Path) -> None:
    child = kill_one_with_a_child(tmp_path, STUBBORN, said="1")
    with open_state(tmp_path / "state"):
        assert not alive(child)
