"""A child process with what its supervisor knows of it."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ri_platform.local.reaper import ENDED
from ri_platform.local.restarts import End

LAST_LINES = 15
PR_SET_PDEATHSIG = 1


class Child:
    """A command in a session of its own, so that Ctrl-C reaches the supervisor alone.

    `hear` is given the child and each line of its output, in a thread. `note` is given the name and the
    session, or `ENDED`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        hear: Callable[[Child, str], None],
        note: Callable[[str, int], None] = lambda name, session: None,
    ) -> None:
        self.name = name
        self.last_lines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._command, self._environment = list(command), dict(environment)
        self._hear, self._note = hear, note
        self.start_again()

    def start_again(self) -> None:
        """Start the command. Raises `OSError`."""
        self.process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(end_with, os.getpid()),
        )
        self._note(self.name, self.process.pid)
        self.last_lines.clear()
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def end(self) -> End | None:
        """How it ended, or None while it runs. What it left in its session is killed."""
        status = self.process.poll()
        if status is None:
            return None
        # They may hold the port that the next one needs.
        send_signal(self.process, signal.SIGKILL)
        self._note(self.name, ENDED)
        return End(describe_status(status), by_signal=status < 0)

    def last_words(self) -> str:
        return "\n".join(self.last_lines)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            self.last_lines.append(line)
            self._hear(self, line)


def describe_status(status: int) -> str:
    """A return code of `subprocess` in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by the signal {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def send_signal(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    """Signal a process and all others of its session's first group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def end_with(parent: int) -> None:
    """Linux: have the kernel end this child should its supervisor be killed (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)  # It was killed before.
