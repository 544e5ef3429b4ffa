"""Control groups for sandboxes: processes, memory and processor time of one together (cgroups(7)).

Version 2 is used where this worker may write below a group of its own, version 1 where a machine
still has that. Where neither is to be had, as in many containers, the limits of each process
(rlimits) and the sizes of file systems remain, and `problem` says so.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from images.building.leftovers import left_behind

logger = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
PREFIX = "ri-sandbox-"
# Where a worker's own processes go that was the only one in a group.
BESIDE = "ri-worker"
# Processor time is dealt out by periods, in microseconds.
PERIOD = 100_000


@dataclass(frozen=True)
class Budget:
    """Limits of one sandbox at any time: processes, bytes, processor cores."""

    processes: int
    memory: int
    cpus: int


@dataclass(frozen=True)
class Hierarchy:
    """A folder that groups may be made in, and what a group's files are to hold there."""

    folder: Path
    version: int
    controllers: tuple[str, ...]

    def settings(self, budget: Budget) -> dict[str, str]:
        if self.version == 2:
            every = {
                "pids": {"pids.max": str(budget.processes)},
                "memory": {"memory.max": str(budget.memory), "memory.swap.max": "0"},
                "cpu": {"cpu.max": f"{budget.cpus * PERIOD} {PERIOD}"},
            }
        else:
            every = {
                "pids": {"pids.max": str(budget.processes)},
                "memory": {"memory.limit_in_bytes": str(budget.memory)},
                "cpu": {
                    "cpu.cfs_period_us": str(PERIOD),
                    "cpu.cfs_quota_us": str(budget.cpus * PERIOD),
                },
            }
        return {
            name: value
            for controller in self.controllers
            for name, value in every[controller].items()
        }


@dataclass(frozen=True)
class Group:
    """The folders of one group, in each of the hierarchies."""

    folders: Sequence[Path]

    @property
    def joins(self) -> list[Path]:
        """The files that take a process in."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has killed a process for the group's limit."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                with suppress(OSError):
                    counts = dict(line.split() for line in (folder / name).read_text().splitlines())
                    if int(counts.get("oom_kill", 0)):
                        return True
        return False


@contextmanager
def group(budget: Budget) -> Iterator[Group]:
    """A group for one sandbox. It is emptied and removed."""
    with ExitStack() as stack:
        made = []
        for hierarchy in hierarchies():
            remove_leftovers(hierarchy.folder)
            folder = stack.enter_context(own_folder(hierarchy.folder))
            made.append(folder)
            for file, value in hierarchy.settings(budget).items():
                # Swap accounting may be off; the rest is there, as `hierarchies` has seen.
                with suppress(FileNotFoundError):
                    (folder / file).write_text(value)
        yield Group(made)


@contextmanager
def own_folder(above: Path) -> Iterator[Path]:
    """A group that is locked (flock(2)) as long as this process needs it.

    Workers in containers may share a hierarchy, and a number of a process means another one to each.
    """
    while True:
        folder = above / f"{PREFIX}{secrets.token_hex(8)}"
        folder.mkdir()
        # Before it is locked, whoever clears up may have taken it for left behind.
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                break
            os.close(lock)
    try:
        yield folder
    finally:
        remove(folder)
        os.close(lock)


def oom_kills() -> int:
    """How many processes of this one's own group the kernel has killed for want of memory, whoever lacked it.

    Source: the kernel's cgroup-v2.rst (memory.events) and cgroup-v1/memory.rst (memory.oom_control).
    """
    for line in own_groups():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            files = [
                mounted / path.lstrip("/") / "memory.events" for mounted in (ROOT, ROOT / "unified")
            ]
        elif "memory" in controllers.split(","):
            files = [ROOT / "memory" / path.lstrip("/") / "memory.oom_control"]
        else:
            continue
        for file in files:
            with suppress(OSError, ValueError):
                counts = dict(one.split() for one in file.read_text().splitlines())
                if "oom_kill" in counts:
                    return int(counts["oom_kill"])
    return 0


def problem() -> str:
    """The limit that a sandbox as a whole cannot have here, as a sentence; empty if it can have every one."""
    missing = [name for name in ("pids", "memory", "cpu") if not has(name)]
    if not missing:
        return ""
    return (
        f"No control group for {', '.join(missing)} can be made, so limits hold for each process of a "
        "sandbox, not for all together."
    )


def has(controller: str) -> bool:
    return any(controller in hierarchy.controllers for hierarchy in hierarchies())


@cache
def hierarchies() -> tuple[Hierarchy, ...]:
    """The hierarchies in which groups can be made on this machine, as tried."""
    found = []
    for line in own_groups():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            for mounted in (ROOT, ROOT / "unified"):
                if (mounted / "cgroup.controllers").exists():
                    found += unified_hierarchy(mounted / path.lstrip("/"))
        else:
            for controller in set(controllers.split(",")) & {"pids", "memory", "cpu"}:
                folder = ROOT / controller / path.lstrip("/")
                if usable(folder, Hierarchy(folder, 1, (controller,))):
                    found.append(Hierarchy(folder, 1, (controller,)))
    return tuple(found)


def own_groups() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def unified_hierarchy(own: Path) -> list[Hierarchy]:
    """Version 2: below our own group, if that is ours to divide."""
    own = own.parent if own.name == BESIDE else own
    try:
        offered = set((own / "cgroup.controllers").read_text().split())
        wanted = tuple(name for name in ("pids", "memory", "cpu") if name in offered)
        if not wanted:
            return []
        enabled = set((own / "cgroup.subtree_control").read_text().split())
        if not set(wanted) <= enabled:
            enable(own, wanted)
    except OSError as error:
        logger.info("The control group %s cannot be divided: %s", own, error.strerror)
        return []
    hierarchy = Hierarchy(own, 2, wanted)
    return [hierarchy] if usable(own, hierarchy) else []


def enable(own: Path, controllers: tuple[str, ...]) -> None:
    """Hand controllers down to our groups. A group with processes of its own may not, but the root's.

    So these move into one beside the sandboxes', where the group is ours alone: as a container's root, or as
    what systemd delegated (systemd.resource-control(5), Delegate=).
    """
    words = " ".join(f"+{name}" for name in controllers)
    try:
        (own / "cgroup.subtree_control").write_text(words)
    except OSError:
        if not is_ours(own):
            raise
        beside = own / BESIDE
        beside.mkdir(exist_ok=True)
        for process in (own / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (beside / "cgroup.procs").write_text(process)
        (own / "cgroup.subtree_control").write_text(words)


def is_ours(own: Path) -> bool:
    if own.samefile(ROOT):
        # The machine's own root has no type; the root of a container's namespace does.
        return (own / "cgroup.type").exists()
    for name in ("trusted.delegate", "user.delegate"):
        with suppress(OSError):
            if os.getxattr(own, name) == b"1":
                return True
    return False


def usable(folder: Path, hierarchy: Hierarchy) -> bool:
    """Whether a group can really be made in `folder`, and has the files that limit."""
    try:
        with own_folder(folder) as trial:
            wanted = set(hierarchy.settings(Budget(16, 1 << 30, 1))) - {"memory.swap.max"}
            return all((trial / name).exists() for name in wanted)
    except OSError:
        return False


def remove(folder: Path) -> None:
    """Remove a group; what still runs in it is killed."""
    for _ in range(50):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            with suppress(OSError):
                for process in (folder / "cgroup.procs").read_text().split():
                    os.kill(int(process), signal.SIGKILL)
            time.sleep(0.02)
        else:
            return
    logger.warning("The control group %s cannot be removed.", folder)


def remove_leftovers(folder: Path) -> None:
    """Remove the groups of workers that were killed: those that nobody has locked, and that are empty."""
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError), left_behind(left, os.O_RDONLY | os.O_DIRECTORY):
            left.rmdir()
