"""A supervisor of a few child processes. They share one log, and all end when one ends or on a signal.

Unlike a Procfile runner it starts in stages: a child can start after another answers, with an environment
that is known only then.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The next start resumes an interrupted build, so the shutdown does not wait for builds.
STOP_SECONDS = 5.0
POLL_SECONDS = 0.2
PR_SET_PDEATHSIG = 1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]
    last_lines: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=15))


class Stopped(Exception):
    """The supervisor was stopped before everything had started."""


class Supervisor:
    """Starts children, copies their output to one log, and ends them all.

    Each line is also handed to `hear`, in a thread of the child's own.
    """

    def __init__(self, log: Path, hear: Callable[[str], None] = lambda line: None) -> None:
        self._children: list[Child] = []
        self._hear = hear
        self._log = log.open("a", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()
        self._told_to_stop = threading.Event()

    def handle_signals(self) -> None:
        """Install the handlers of stop signals; a signal that was blocked until now is delivered."""
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: self._told_to_stop.set())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    @property
    def stopping(self) -> bool:
        return self._told_to_stop.is_set()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a child in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        child = Child(name, process)
        self._children.append(child)
        threading.Thread(target=self._copy, args=(child,), daemon=True).start()
        return child

    def run(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, apart as the children are. Raises `Stopped` once told to stop."""
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        while True:
            try:
                said, errors = process.communicate(timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if self.stopping:
                    self._end([process])
        if self.stopping:
            raise Stopped
        return subprocess.CompletedProcess(process.args, process.returncode, said, errors)

    def wait(self, poll: float = POLL_SECONDS) -> Child | None:
        """Wait for a stop signal (returns None) or the end of a child (returns it)."""
        while not self._told_to_stop.wait(poll):
            for child in self._children:
                if child.process.poll() is not None:
                    return child
        return None

    def stop(self) -> None:
        """End the children in reverse order; a child that does not end within seconds is killed."""
        self._end([child.process for child in reversed(self._children)])
        self._children.clear()

    def _end(self, processes: Sequence[subprocess.Popen[Any]]) -> None:
        for process in processes:
            self._signal(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._signal(process, signal.SIGKILL)
                process.wait()
            # Processes that it left in its session.
            self._signal(process, signal.SIGKILL)

    @staticmethod
    def _signal(process: subprocess.Popen[Any], number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    def _copy(self, child: Child) -> None:
        assert child.process.stdout is not None
        for raw in child.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            child.last_lines.append(line)
            # The log first: who reads of something in the terminal finds it there.
            with self._lock:
                self._log.write(f"{time.strftime('%H:%M:%S')} {child.name:<9}│ {line}\n")
            self._hear(line)


@contextlib.contextmanager
def out_of_reach_of_the_terminal() -> Iterator[None]:
    """Block Ctrl-C for processes started meanwhile; we receive it afterwards.

    A terminal sends its signals to all processes of a group; one that is blocked stays so in a child.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Linux: have the kernel end this child should its supervisor be killed (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
