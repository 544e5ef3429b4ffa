"""Long commands beside a build: their words come out line by line, and they end when the build must."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

POLL_SECONDS = 0.2
# What a killed process is given to end by itself.
GRACE_SECONDS = 5.0


class TimedOut(Exception):
    """The command took longer than it may; it was killed."""


def containment() -> list[str]:
    """What to run a command under that mounts or starts daemons, so that it ends with this worker.

    In namespaces of its own it leaves neither mounts nor processes behind even if it is killed. Where
    those cannot be had it is told to end, and cleans up by itself once its present step is done.
    """
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    if os.geteuid() == 0:
        probe = subprocess.run([*namespaces, "true"], capture_output=True, check=False)
        if probe.returncode == 0:
            return ["setpriv", "--pdeathsig", "KILL", "--", *namespaces]
    return ["setpriv", "--pdeathsig", "TERM", "--"]


def run_streaming(
    command: Sequence[str],
    *,
    log: Callable[[str], None],
    check: Callable[[], None],
    timeout: float,
    environment: Mapping[str, str],
    folder: Path | None = None,
    errors_only: bool = False,
    inherited: Sequence[int] = (),
) -> int:
    """Run a command from an argument list and log what it says, stdout and stderr; its exit status.

    It runs in `folder`; `errors_only` leaves stdout out. It gets the file descriptors `inherited`.

    `log` and `check` are called in this thread; `check` five times a second, and it may raise. Raises
    `TimedOut` after `timeout` seconds. Whatever raises, the command's process group is ended.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if errors_only else subprocess.PIPE,
        stderr=subprocess.PIPE if errors_only else subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
        pass_fds=inherited,
        # What goes into an image must not depend on how private the worker keeps its own files.
        umask=0o022,
    )
    lines: SimpleQueue[str | None] = SimpleQueue()
    reader = threading.Thread(target=read_lines, args=(process, lines), daemon=True)
    reader.start()
    deadline = time.monotonic() + timeout
    try:
        while True:
            check()
            try:
                line = lines.get(timeout=POLL_SECONDS)
            except Empty:
                line = ""
            if line is None:
                return process.wait()
            if line:
                log(line)
            if time.monotonic() > deadline:
                raise TimedOut
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def read_lines(process: subprocess.Popen[bytes], lines: SimpleQueue[str | None]) -> None:
    """Put the command's lines into the queue, and None at their end."""
    said = process.stdout or process.stderr
    assert said is not None
    for raw in said:
        lines.put(raw.decode("utf-8", "replace").rstrip())
    lines.put(None)
