"""The sandbox for other people's build code: one for each command, removed with everything written in it.

`enter.py` makes the room and bubblewrap confines the command: namespaces of every kind, a user who owns
nothing, no capability, a read-only root, an own `/dev`, a filter of system calls, limits of processes,
memory, disk and time, and one socket at most as its network. docs/decisions/0009-sandbox.md tells what holds
where a machine lacks a part.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from images.building.commands import Deadline, OutputExcerpt, run_streaming
from images.building.containers import cgroups, enter, memory_watch, syscalls
from images.errors import SourceBuildFailed

# Users outside that sandboxes run as, one each at a time, of those that Debian keeps for nobody's use.
USERS = range(65_400, 65_464)
# More files than any build leaves.
MAX_LEFT_FILES = 1000
OPEN_FILES = 4096
PIECE = 1 << 20

Serving = Callable[[socket.socket], AbstractContextManager[object]]


class CommandFailed(Exception):
    """A command in a sandbox ended badly; `said` are its lines, the middle left out if they are many."""

    def __init__(self, said: Sequence[str]) -> None:
        super().__init__("\n".join(said[-3:]))
        self.said = list(said)


class SandboxBroken(Exception):
    """The sandbox itself could not be made; the sentence is of this machine, not of a library."""


@dataclass(frozen=True)
class Budget:
    """Limits of one sandbox: bytes of memory and of what it writes, processes, cores, and bytes said."""

    memory: int
    disk: int
    processes: int
    cpus: int
    output: int

    @classmethod
    def from_settings(cls) -> Budget:
        return cls(
            settings.SOURCE_BUILD_MEMORY_BYTES,
            settings.SOURCE_BUILD_DISK_BYTES,
            settings.SOURCE_BUILD_PROCESSES,
            settings.SOURCE_BUILD_CPUS,
            settings.BUILD_OUTPUT_BYTES,
        )

    def rlimits(self, *, count_processes: bool) -> dict[str, int]:
        """The limits of each process, by setrlimit(2)'s names."""
        every = {
            "AS": self.memory,
            "FSIZE": self.disk,
            "CORE": 0,
            "NOFILE": OPEN_FILES,
            "MEMLOCK": 0,
            "MSGQUEUE": 0,
        }
        return {**every, "NPROC": self.processes} if count_processes else every


class Results:
    """The folder that a command wrote to. What lies in it is not to be trusted.

    It is reached by its descriptor alone, and gone when that is closed.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def names(self) -> list[str]:
        found = os.listdir(self._descriptor)
        if len(found) > MAX_LEFT_FILES:
            raise SourceBuildFailed("The build left more files than any build should.")
        return sorted(found)

    def take(self, name: str, destination: Path, limit: int) -> None:
        """Copy what a build has left, if it is a plain file of at most `limit` bytes.

        No link may lead the worker elsewhere, and nothing is left of what was refused. Raises
        `SourceBuildFailed`.
        """
        take_file(name, destination, limit, within=self._descriptor)


def take_file(name: str | Path, destination: Path, limit: int, within: int | None = None) -> None:
    """See `Results.take`; `within` is the descriptor of the folder."""
    shown = Path(name).name
    try:
        if within is not None and shown != name:
            raise ValueError("not a file's name")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=within)
    except (OSError, ValueError) as error:
        raise SourceBuildFailed(f"The build left no readable file {shown}.") from error
    try:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode):
            raise SourceBuildFailed(f"What the build left as {shown} is no file.")
        if told.st_size > limit:
            raise SourceBuildFailed(f"What the build left as {shown} is larger than it may be.")
        with destination.open("wb") as copy:
            # Nobody writes to it any more; no further than was looked at is read all the same.
            left = told.st_size
            while left and (piece := os.read(descriptor, min(PIECE, left))):
                copy.write(piece)
                left -= len(piece)
    except BaseException:
        destination.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Sandbox:
    """Runs commands upon a root file system, each in a sandbox of its own.

    `lowers` are the folders that the root consists of, the uppermost first. All commands together have the
    time of `deadline`.
    """

    lowers: Sequence[Path]
    deadline: Deadline
    log: Callable[[str], None]
    check: Callable[[], None]
    budget: Budget

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        given: Path | None = None,
        uv: Path | None = None,
        serving: Serving | None = None,
        port: int = 0,
    ) -> Results:
        """Run a command as nobody; what it left in `enter.OUT`, which the caller closes.

        `given` and `uv` are to be read at `enter.GIVEN` and `enter.UV`. `serving` answers on `port` of the
        sandbox's 127.0.0.1, its only network, while its context lasts; without it there is none.

        Raises `CommandFailed`, `SandboxBroken`, `TimedOut` and `TooMuchOutput`.
        """
        if given is not None:
            readable_by_all(given)
        with ExitStack() as held:
            user = held.enter_context(free_user())
            specification = {
                "kind": "confined",
                "uid": user,
                "given": str(given) if given else None,
                "uv": str(uv) if uv else None,
                "port": port if serving else 0,
                "limits": self.budget.rlimits(count_processes=True),
                "environment": {"PATH": PATH, "HOME": "/tmp", "LC_ALL": "C.UTF-8", **environment},  # noqa: S108
            }
            budget = cgroups.Budget(self.budget.processes, self.budget.memory, self.budget.cpus)
            group = held.enter_context(cgroups.group(budget))
            try:
                check = memory_watch.memory_check(self.check, user, self.budget.memory)
                watched = replace(self, check=check)
                return execute(watched, command, specification, group.joins, serving, confined=True)
            except CommandFailed as error:
                if not group.ran_out_of_memory():
                    raise
                sentence = memory_watch.words(self.budget.memory)
                self.log(sentence)
                raise CommandFailed([*error.said, sentence]) from error


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def execute(
    sandbox: Sandbox,
    command: Sequence[str],
    specification: Mapping[str, object],
    joins: Sequence[Path],
    serving: Serving | None,
    *,
    confined: bool,
) -> Results:
    said = OutputExcerpt()

    def hear(line: str) -> None:
        said.append(line)
        sandbox.log(line)

    ours, theirs = socket.socketpair()
    with ours, theirs, filter_file(chroot=not confined) as rules:
        whole = {
            **specification,
            "parent": os.getpid(),
            "command": list(command),
            "cgroups": [str(path) for path in joins],
            "lowers": [str(path) for path in sandbox.lowers],
            "disk": sandbox.budget.disk,
            "messenger": theirs.fileno(),
            "filter": rules,
        }
        with receive_results(ours, theirs, serving) as received:
            status = run_streaming(
                [sys.executable, "-I", enter.__file__, json.dumps(whole)],
                log=hear,
                check=sandbox.check,
                timeout=sandbox.deadline.seconds_left(),
                environment={"PATH": os.environ.get("PATH", PATH)},
                inherited=[theirs.fileno(), rules],
                limit=sandbox.budget.output,
            )
        if status != 0 or received.folder is None:
            received.close()
            if received.folder is None:
                raise SandboxBroken(" ".join(said.lines()[-3:]) or "It ended without a word.")
            raise CommandFailed(said.lines())
        return Results(received.folder)


@dataclass
class ResultFolder:
    """The folder of results that `enter.py` handed out, by its descriptor."""

    folder: int | None = None

    def close(self) -> None:
        if self.folder is not None:
            os.close(self.folder)


@contextmanager
def receive_results(
    ours: socket.socket, theirs: socket.socket, serving: Serving | None
) -> Iterator[ResultFolder]:
    """Wait beside the command for what it hands out, and answer on its socket while it runs."""
    received, done = ResultFolder(), threading.Event()

    def wait() -> None:
        try:
            _, descriptors, *_ = socket.recv_fds(ours, 16, 2)
        except OSError:
            return
        if not descriptors:
            return
        received.folder, *rest = descriptors
        with ExitStack() as answered:
            for descriptor in rest:
                listener = answered.enter_context(socket.socket(fileno=descriptor))
                if serving is not None:
                    answered.enter_context(serving(listener))
            done.wait()

    waiter = threading.Thread(target=wait, name="sandbox", daemon=True)
    waiter.start()
    try:
        yield received
    except BaseException:
        stop(ours, done, waiter)
        received.close()
        raise
    stop(ours, done, waiter)


def stop(ours: socket.socket, done: threading.Event, waiter: threading.Thread) -> None:
    done.set()
    with suppress(OSError):
        # Lets go of a wait for what never came; what was sent already is still read.
        ours.shutdown(socket.SHUT_RD)
    waiter.join()


@contextmanager
def filter_file(*, chroot: bool) -> Iterator[int]:
    """A descriptor of the system call filter, as bubblewrap reads it."""
    descriptor = os.memfd_create("filter")
    try:
        os.write(descriptor, syscalls.program(chroot=chroot))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def free_user() -> Iterator[int]:
    """A user outside that no other sandbox of this machine runs as at the moment."""
    folder = settings.CACHE_DIR / "users"
    folder.mkdir(parents=True, exist_ok=True)
    for user in USERS:
        with (folder / str(user)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno != errno.EWOULDBLOCK:
                    raise
                continue
            yield user
            return
    raise SandboxBroken(f"{len(USERS)} sandboxes run on this machine already.")


def readable_by_all(folder: Path) -> None:
    """What the worker gives, its own user alone could read by its umask."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
