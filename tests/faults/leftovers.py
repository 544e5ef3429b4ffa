"""What a worker's sandboxes consist of outside of them, and what is left of it once the worker is dead.

docs/decisions/0009-sandbox.md promises that nothing is: the kernel ends the processes with their worker, and
their namespaces, mounts and memory with the last of them; whichever worker makes the next sandbox or work
folder on the machine removes the dead one's control groups and folders.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from images.building.containers import enter
from images.building.containers.cgroups import PREFIX, ROOT

PROC = Path("/proc")
NAMESPACES = ("mnt", "pid", "net", "ipc", "user", "uts")


@dataclass(frozen=True)
class Sandboxes:
    """The sandboxes of one worker at one moment, and the work folders that were there."""

    # What each was when it was seen.
    commands: dict[psutil.Process, str]
    namespaces: frozenset[str]
    groups: frozenset[Path]
    folders: frozenset[Path]

    def running(self) -> list[str]:
        """The processes that go on, and the namespaces that a process is in, with what is mounted there.

        To be asked soon after the worker's end: the kernel gives the numbers of namespaces again.
        """
        inside = self.namespaces.intersection(
            space for number in psutil.pids() for space in namespaces_of(number)
        )
        return [*self.alive(), *sorted(inside)]

    def left(self) -> list[str]:
        """All that is left once another worker has gone on: also control groups and folders."""
        paths = [path for path in (*self.groups, *self.folders) if path.exists()]
        return [*self.alive(), *sorted(map(str, paths))]

    def alive(self) -> list[str]:
        # psutil also looks when a process began, for numbers are used again.
        return [f"{item}: {said}" for item, said in self.commands.items() if is_alive(item)]


def sandboxes_of(worker: int, cache: Path) -> Sandboxes | None:
    """Those of the worker with this process number; None if no command runs in one at the moment."""
    own = [item for item in psutil.Process(worker).children() if enter.__file__ in command_of(item)]
    below = {*own, *(item for one in own for item in descendants(one))}
    commands = {item: command_of(item) for item in below}
    # bubblewrap has started its command once there is a process more than those that supervise.
    if not any(said and enter.__file__ not in said for said in commands.values()):
        return None
    ours = {*namespaces_of(os.getpid()), *namespaces_of(worker)}
    return Sandboxes(
        commands,
        frozenset(space for item in below for space in namespaces_of(item.pid)) - ours,
        frozenset(group for item in below for group in groups_of(item.pid)),
        frozenset(cache.glob("work-*")),
    )


def mounts_below(folder: Path) -> list[str]:
    """What is mounted in this process's own mount namespace below a folder."""
    lines = (PROC / "self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split()[4].startswith(f"{folder}/")]


def is_alive(found: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(found.is_running() and found.status() != psutil.STATUS_ZOMBIE)
    return False


def descendants(found: psutil.Process) -> list[psutil.Process]:
    below: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        below = found.children(recursive=True)
    return below


def command_of(found: psutil.Process) -> str:
    """Empty of a process that has ended."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(found.cmdline())
    return ""


def namespaces_of(number: int) -> list[str]:
    found = []
    for kind in NAMESPACES:
        with suppress(OSError):
            found.append(os.readlink(PROC / str(number) / "ns" / kind))
    return found


def groups_of(number: int) -> list[Path]:
    """The folders of the control groups of a sandbox that a process is in."""
    found: list[Path] = []
    with suppress(OSError):
        lines = (PROC / str(number) / "cgroup").read_text().splitlines()
        names = {part for line in lines for part in line.split("/") if part.startswith(PREFIX)}
        found = [path for name in names for path in ROOT.rglob(name)]
    return found
