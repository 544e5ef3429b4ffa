"""A supervisor for a handful of children: one log, and all end when one does or when told to.

Small on purpose and staged, unlike the usual Procfile runners: a child may be started once another
answers, with an environment that only then is known.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# A build that is cut off is taken up again at the next start, so nobody needs to wait for it.
STOP_SECONDS = 5.0
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]
    last_lines: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=15))


class Supervisor:
    """Starts children, copies what they say to one log, and takes them all along at the end."""

    def __init__(self, log: Path) -> None:
        self._children: list[Child] = []
        self._log = log.open("a", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()
        self._told_to_stop = threading.Event()

    def handle_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._told_to_stop.set())

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

    def wait(self, poll: float = 0.2) -> Child | None:
        """Wait until somebody says stop (None) or a child ends (that child)."""
        while not self._told_to_stop.wait(poll):
            for child in self._children:
                if child.process.poll() is not None:
                    return child
        return None

    def stop(self) -> None:
        """End the children, the last started first; who does not listen within seconds is killed."""
        for child in reversed(self._children):
            self._signal(child, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for child in reversed(self._children):
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._signal(child, signal.SIGKILL)
                child.process.wait()
            # What the child itself left running in its session.
            self._signal(child, signal.SIGKILL)
        self._children.clear()

    @staticmethod
    def _signal(child: Child, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, number)

    def _copy(self, child: Child) -> None:
        assert child.process.stdout is not None
        for raw in child.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            child.last_lines.append(line)
            with self._lock:
                self._log.write(f"{time.strftime('%H:%M:%S')} {child.name:<9}│ {line}\n")


def end_with_parent() -> None:
    """Linux: have the kernel end this child should its supervisor be killed (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
