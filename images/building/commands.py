"""Long commands beside a build: their words come out line by line, and they end when the build must.

What a command says is of strangers: it is read in pieces, no faster than it is dealt with, and up to a limit.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from images.errors import TooMuchOutput

POLL_SECONDS = 0.2
PIECE = 1 << 16
# A line is cut after so many bytes; nobody reads further, and no error is told in more.
MAX_LINE = 2000
# Where no setting says otherwise, a command may say so many bytes.
OUTPUT_LIMIT = 20_000_000
# What is kept of a command's words to tell them in an error, in lines.
HEAD, TAIL = 50, 200
# What a killed process is given to end by itself.
GRACE_SECONDS = 5.0
# For a command that does nothing, to see whether it can be run.
PROBE_SECONDS = 30.0


class TimedOut(Exception):
    """The command took longer than it may; it was killed."""


def containment() -> list[str]:
    """The prefix for a command that mounts or starts daemons, so that it ends with this worker.

    In namespaces of its own it leaves neither mounts nor processes behind even if it is killed. Where
    those cannot be had it is told to end, and cleans up by itself once its present step is done.
    """
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    if os.geteuid() == 0:
        # What does not come to an end in time cannot be had, either.
        with suppress(subprocess.TimeoutExpired):
            probe = subprocess.run(
                [*namespaces, "true"], capture_output=True, check=False, timeout=PROBE_SECONDS
            )
            if probe.returncode == 0:
                return ["setpriv", "--pdeathsig", "KILL", "--", *namespaces]
    return ["setpriv", "--pdeathsig", "TERM", "--"]


class Deadline:
    """One span of time for work of several commands. It begins with the first question."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end: float | None = None

    def seconds_left(self) -> float:
        """Seconds that are left. Raises `TimedOut` when none are."""
        now = time.monotonic()
        self._end = self._end or now + self.seconds
        if now >= self._end:
            raise TimedOut
        return self._end - now


class OutputExcerpt:
    """The first and the last lines of what a command said, in bounded memory."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._count = 0

    def append(self, line: str) -> None:
        self._count += 1
        (self._head if len(self._head) < HEAD else self._tail).append(line)

    def lines(self) -> list[str]:
        left_out = self._count - len(self._head) - len(self._tail)
        between = [f"… {left_out:,} lines are left out here …"] if left_out else []
        return [*self._head, *between, *self._tail]

    def text(self) -> str:
        return "\n".join(self.lines())


class Lines:
    """Makes lines of pieces. Raises `TooMuchOutput` past `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._left = limit, limit
        self._line, self._cut = bytearray(), False

    def split(self, piece: bytes) -> Iterator[str]:
        """The lines that end in this piece."""
        self._left -= len(piece)
        if self._left < 0:
            raise TooMuchOutput(
                f"The build said more than {self._limit / 1e6:,.0f} MB and was stopped.",
                hint="Something in it repeats itself without end; the log has the beginning. "
                "An operator can allow more (RI_BUILD_OUTPUT_MB).",
            )
        *whole, rest = piece.split(b"\n")
        for part in whole:
            self._add(part)
            yield self._take()
        self._add(rest)

    def end(self) -> Iterator[str]:
        """The line that nothing ended, if there is one."""
        if self._line:
            yield self._take()

    def _add(self, part: bytes) -> None:
        room = MAX_LINE - len(self._line)
        self._line += part[:room]
        self._cut = self._cut or len(part) > room

    def _take(self) -> str:
        line = self._line.decode("utf-8", "replace").rstrip() + (" … (cut)" if self._cut else "")
        self._line.clear()
        self._cut = False
        return line


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
    limit: int = OUTPUT_LIMIT,
) -> int:
    """Run a command from an argument list and log what it says, stdout and stderr; its exit status.

    It runs in `folder`; `errors_only` leaves stdout out. It gets the file descriptors `inherited`.

    `log` and `check` are called in this thread; `check` five times a second, and it may raise. Raises
    `TimedOut` after `timeout` seconds, `TooMuchOutput` past `limit` bytes.
    Whatever raises, the command's process group is ended.
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
    lines = Lines(limit)
    deadline = time.monotonic() + timeout
    try:
        for piece in pieces_of(process, check, deadline):
            for line in lines.split(piece):
                if line:
                    log(line)
        for line in lines.end():
            log(line)
        return process.wait()
    finally:
        end(process)


@contextmanager
def output_of(
    command: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose stdout is read in the block; it has ended when the block has, with a `returncode`.

    Raises `TimedOut` after `timeout` seconds: its process group is killed, whatever the block waits for.
    """
    process = subprocess.Popen(
        list(command), stdout=subprocess.PIPE, env=environment, start_new_session=True
    )
    over = threading.Event()

    def kill() -> None:
        over.set()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout, kill)
    timer.daemon = True
    timer.start()
    try:
        yield process
        process.wait()
    except Exception as error:
        # What was cut off reads as damaged, and is not.
        if over.is_set():
            raise TimedOut from error
        raise
    finally:
        timer.cancel()
        end(process)
    if over.is_set():
        raise TimedOut


def pieces_of(
    process: subprocess.Popen[bytes], check: Callable[[], None], deadline: float
) -> Iterator[bytes]:
    """The output of a command, in pieces, until it has ended. It waits while nobody takes them.

    Neither a command that closed its output and goes on, nor one that ended and left somebody who
    holds it open, keeps us: both are noticed.
    """
    stream = process.stdout or process.stderr
    assert stream is not None
    is_open = True
    while True:
        check()
        if time.monotonic() > deadline:
            raise TimedOut
        if not is_open:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
                return
            continue
        ended = process.poll() is not None
        if wait_for(stream.fileno(), 0 if ended else POLL_SECONDS):
            piece = os.read(stream.fileno(), PIECE)
            is_open = bool(piece)
            yield piece
        elif ended:
            return


def wait_for(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read, or its end, within so many seconds (poll(2))."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(seconds * 1000))


def end(process: subprocess.Popen[bytes]) -> None:
    """End the command's process group if it still runs, first kindly, and close what it said."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
