"""A supervisor of a few services. They share one log; what ends is started again, and all end on a signal.

Unlike a Procfile runner it starts in stages: a child can start after another answers, with an environment
that is known only then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from ri_platform.local.child import Child, end_with, send_signal
from ri_platform.local.reaper import ENDED, Reaper
from ri_platform.local.restarts import GivenUp, Restarts, Service

# Workers hand their builds over in less (`RI_STOP_SECONDS` of `make run`), and the next start resumes them.
STOP_SECONDS = 5.0
# The name of what `run` runs, beside those of the children.
COMMAND = "command"
POLL_SECONDS = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """The supervisor was stopped before everything had started."""


class Supervisor:
    """Starts children, copies their output to one log, keeps them running, and ends them all.

    Each line is also handed to `hear`, in a thread of the child's own. `tell` is given a sentence when
    a service ended and is to be started again. `lock` stays locked as long as a child is left, also if the
    supervisor is killed.
    """

    def __init__(
        self,
        log: Path,
        hear: Callable[[str], None] = lambda line: None,
        tell: Callable[[str], None] = lambda sentence: None,
        lock: IO[str] | None = None,
    ) -> None:
        self._reaper = Reaper([lock.fileno()] if lock else [])
        self._children: list[Child] = []
        self._services: list[Service] = []
        self._hear, self._tell = hear, tell
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
        """Start a child, which `keep_up` keeps running."""
        child = Child(name, command, environment, self._copy, self._reaper.note)
        self._children.append(child)
        self._services.append(child)
        return child

    def watch(self, service: Service) -> None:
        """Have `keep_up` keep a service running that is no child, and that its owner stops."""
        self._services.append(service)

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
            preexec_fn=partial(end_with, os.getpid()),
        )
        self._reaper.note(COMMAND, process.pid)
        while True:
            try:
                said, errors = process.communicate(timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if self.stopping:
                    self._end([process])
        self._reaper.note(COMMAND, ENDED)
        if self.stopping:
            raise Stopped
        return subprocess.CompletedProcess(process.args, process.returncode, said, errors)

    def keep_up(self, poll: float = POLL_SECONDS) -> GivenUp | None:
        """Start again what ends, until a stop signal (returns None) or until a service cannot stay up."""
        kept = [Restarts(service, self._report) for service in self._services]
        while not self._told_to_stop.wait(poll):
            for service in kept:
                if given_up := service.look():
                    return given_up
        return None

    def stop(self) -> None:
        """End the children in reverse order; a child that does not end within seconds is killed."""
        self._end([child.process for child in reversed(self._children)])
        self._children.clear()
        self._services.clear()
        self._reaper.stop()

    def _end(self, processes: Sequence[subprocess.Popen[Any]]) -> None:
        for process in processes:
            send_signal(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                send_signal(process, signal.SIGKILL)
                process.wait()
            # Processes that it left in its session.
            send_signal(process, signal.SIGKILL)

    def _copy(self, child: Child, line: str) -> None:
        # The log first: who reads of something in the terminal finds it there.
        self._write(child.name, line)
        self._hear(line)

    def _report(self, sentence: str) -> None:
        self._write("make run", sentence)
        self._tell(sentence)

    def _write(self, name: str, line: str) -> None:
        with self._lock:
            self._log.write(f"{time.strftime('%H:%M:%S')} {name:<9}│ {line}\n")


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
