"""What a worker's sandboxes consist of outside of them, and what is left of it once the worker is dead.

docs/decisions/0009-sandbox.md promises that nothing is: the kernel ends the processes with their worker, and
their namespaces, mounts and memory with the last of them; whichever worker makes the next sandbox or work
folder on the machine removes the dead one's control groups and folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from images.building.containers import enter
from images.building.containers.cgroups import PREFIX, ROOT

PROC = Path("/proc")
NAMESPACES = ("mnt", "pid", "net", "ipc", "user", "uts")


@dataclass(frozen=True, order=True)
class Process:
    """A process of this machine. Numbers are used again, so its start (in ticks, proc(5)) is part of it."""

    number: int
    parent: int
    start: int

    @property
    def is_alive(self) -> bool:
        # Its parent may have ended, so it may have another one by now.
        found = process(self.number)
        return found is not None and found.start == self.start

    @property
    def command(self) -> str:
        return file_of(self.number, "cmdline").replace("\0", " ").strip()


@dataclass(frozen=True)
class Sandboxes:
    """The sandboxes of one worker at one moment, and the work folders that were there."""

    processes: frozenset[Process]
    namespaces: frozenset[str]
    groups: frozenset[Path]
    folders: frozenset[Path]

    def running(self) -> list[str]:
        """The processes that go on, and the namespaces that a process is in, with what is mounted there.

        To be asked soon after the worker's end: the kernel gives the numbers of namespaces again.
        """
        inside = self.namespaces.intersection(
            space for item in processes() for space in namespaces_of(item.number)
        )
        return [*self.alive(), *sorted(inside)]

    def left(self) -> list[str]:
        """All that is left once another worker has gone on: also control groups and folders."""
        paths = [path for path in (*self.groups, *self.folders) if path.exists()]
        return [*self.alive(), *sorted(map(str, paths))]

    def alive(self) -> list[str]:
        return [
            f"process {item.number}: {item.command}" for item in self.processes if item.is_alive
        ]


def sandboxes_of(worker: int, cache: Path) -> Sandboxes | None:
    """Those of the worker with this process number; None if no command runs in one at the moment."""
    every = list(processes())
    below = descendants([item for item in every if is_sandbox(item, worker)], every)
    ours = set(namespaces_of(os.getpid())) | set(namespaces_of(worker))
    groups = {group for item in below for group in groups_of(item.number)}
    # bubblewrap has started its command once there is a process more than those that supervise.
    if not any(item.command and enter.__file__ not in item.command for item in below):
        return None
    return Sandboxes(
        frozenset(below),
        frozenset(space for item in below for space in namespaces_of(item.number)) - ours,
        frozenset(groups),
        frozenset(cache.glob("work-*")),
    )


def mounts_below(folder: Path) -> list[str]:
    """What is mounted in this process's own mount namespace below a folder."""
    lines = (PROC / "self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split()[4].startswith(f"{folder}/")]


def is_sandbox(found: Process, worker: int) -> bool:
    return found.parent == worker and enter.__file__ in found.command


def descendants(roots: list[Process], every: list[Process]) -> set[Process]:
    found, new = set(roots), set(roots)
    while new:
        numbers = {item.number for item in new}
        new = {item for item in every if item.parent in numbers} - found
        found |= new
    return found


def processes() -> Iterator[Process]:
    for path in PROC.iterdir():
        if path.name.isdecimal() and (found := process(int(path.name))) is not None:
            yield found


def process(number: int) -> Process | None:
    """None if there is no such process, or it has ended and only its parent has not heard of that."""
    # The name in parentheses may contain anything.
    _, _, rest = file_of(number, "stat").rpartition(") ")
    fields = rest.split()
    if not fields or fields[0] in "ZX":
        return None
    return Process(number, int(fields[1]), int(fields[19]))


def namespaces_of(number: int) -> list[str]:
    found = []
    for kind in NAMESPACES:
        with suppress(OSError):
            found.append(os.readlink(PROC / str(number) / "ns" / kind))
    return found


def groups_of(number: int) -> list[Path]:
    """The folders of the control groups of a sandbox that a process is in."""
    lines = file_of(number, "cgroup").splitlines()
    names = {part for line in lines for part in line.split("/") if part.startswith(PREFIX)}
    return [path for name in names for path in ROOT.rglob(name)]


def file_of(number: int, name: str) -> str:
    try:
        return (PROC / str(number) / name).read_text(errors="replace")
    except OSError:
        return ""
