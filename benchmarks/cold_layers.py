"""Cold layers beside those made by hand, in one run: `python -m benchmarks.cold_layers --sets web data`.

Each round makes the layers of a set from nothing: wheels are downloaded, layers are written and pushed to a
new repository of a local registry. *ours* is the platform's own pipeline with the bytecode of all modules
that programs import; *next* the same, with the bytecode of a former version remembered; *ours, later* sends
each layer only when it is finished; *hand* and *hand + pyc* are `benchmarks.by_hand` without and with
bytecode. All get the same locked versions, so nothing is resolved. The ways take turns within a round.
*seconds* and *processor* are medians over the rounds (lowest to highest), the latter of all processes but the
registry; *memory* is the peak of the processes that were started, together.

`--cores 2` restricts all of it to that many cores, as `taskset` does; RI_BUILD_WORKERS follows.
`--megabytes 30` is the bandwidth of the way to the registry, a second; without it, it is this machine's.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.paced_transport import PacedTransport
from benchmarks.sets import SETS

if TYPE_CHECKING:
    from images.building.locks.files import Lock
    from images.registry.distribution.client import RegistryClient
    from tests.local_aws import LocalAWS

PYTHON = "3.11"
# Of prctl(2): orphaned descendants become children of the process that asks for it.
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Times:
    """Of each round, in seconds; memory in MB."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


class Quiet:
    """A journal that keeps nothing."""

    def begin(self, phase: object) -> None: ...

    def end(self, phase: object) -> None: ...

    def line(self, text: str) -> None: ...


@dataclass
class Bench:
    """One run: where it works, and the registry that all push to."""

    folder: Path
    aws: LocalAWS
    client: RegistryClient
    processes: int
    repository: str = ""

    @contextmanager
    def new_repository(self) -> Iterator[None]:
        """One that has no layer of a former round."""
        from images.registry.naming import DEFAULT_PREFIX

        self.repository = f"{DEFAULT_PREFIX}/cold-{time.monotonic_ns()}"
        with self.aws.repositories(self.repository):
            yield

    def ours_later(self, lock: Lock, bytecode: Path) -> None:
        from images.building.push import early

        usual, early.LARGE = early.LARGE, 1 << 60
        try:
            self.ours(lock, bytecode)
        finally:
            early.LARGE = usual

    def ours(self, lock: Lock, bytecode: Path) -> None:
        from images.building.cache import BoundedCache
        from images.building.layers.bytecode import interpreter_for
        from images.building.layers.keys import plan_layers, wheel_layer_key
        from images.building.pipeline import LayerPipeline, PlannedLayer
        from images.building.workshop import Workshop

        work = Path(tempfile.mkdtemp(dir=self.folder))
        plan = [
            PlannedLayer(
                wheel_layer_key([wheel.sha256 for wheel in group], PYTHON, "x", bytecode=True),
                group[0].name,
                group,
            )
            for group in plan_layers(lock.wheels, 100, lock.order)
        ]
        workshop = Workshop(
            work=work,
            wheels=BoundedCache(work / "wheels", 1 << 40),
            layers=BoundedCache(work / "layers", 1 << 40),
            bytecode=BoundedCache(bytecode, 1 << 40),
            python_version=PYTHON,
            interpreter=interpreter_for(PYTHON),
            processes=self.processes,
        )
        LayerPipeline(
            plan, {}, {}, self.client, self.repository, workshop, Quiet(), lambda: None
        ).run()

    def by_hand(self, lock: Lock, *, bytecode: bool) -> None:
        from benchmarks import by_hand

        work = Path(tempfile.mkdtemp(dir=self.folder))
        by_hand.install(
            [f"{wheel.name}=={wheel.version}" for wheel in lock.wheels],
            work / "target", work / "cache", python_version=PYTHON, bytecode=bytecode,
            options=("--no-deps",),
        )  # fmt: skip
        by_hand.push(by_hand.pack(work / "target", work / "layer"), self.client, self.repository)


def measure(work: Callable[[], None], times: Times) -> None:
    before = processor()
    watch = PeakMemory()
    watch.start()
    begun = time.perf_counter()
    work()
    times.seconds.append(time.perf_counter() - begun)
    times.processor.append(processor() - before)
    times.memory.append(watch.stop())


def adopt_orphans() -> None:
    """Have the layer processes, which the pipeline kills together, end as children of this process."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def processor() -> float:
    """Seconds of this process and of the children that have ended."""
    # Processes that were killed a moment ago may not have ended yet.
    time.sleep(0.2)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    own, ended = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


class PeakMemory(threading.Thread):
    """The peak of the memory of the processes that are started meanwhile, in MB, ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._stopped = threading.Event()
        # Such as the registry.
        self._before = set(self._descendants())
        self.peak = 0.0

    def _descendants(self) -> list[int]:
        return add_children([os.getpid()])[1:]

    def run(self) -> None:
        while not self._stopped.wait(0.1):
            found = [pid for pid in self._descendants() if pid not in self._before]
            self.peak = max(self.peak, sum(map(resident, found)))

    def stop(self) -> float:
        self._stopped.set()
        self.join()
        return self.peak


def add_children(parents: list[int]) -> list[int]:
    found = list(parents)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def resident(pid: int) -> float:
    """Proportional set size (proc_pid_smaps(5)): a page that processes share counts once among them."""
    try:
        status = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    line = next((line for line in status.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return int(line.split()[1]) / 1000


def lock_of(name: str) -> Lock:
    from images.building.locks.resolve import resolve
    from images.building.locks.target import Target
    from images.requirement_files.configured import parse_pip_requirements

    wanted = parse_pip_requirements("\n".join(SETS[name].libraries))
    return resolve(
        wanted, Target(PYTHON), preinstalled={}, log=lambda text: None, check=lambda: None
    )


def rounds_of(name: str, bench: Bench, rounds: int, ways: list[str]) -> dict[str, Times]:
    lock = lock_of(name)
    remembered = bench.folder / f"bytecode-{name}"
    with bench.new_repository():
        bench.ours(lock, remembered)
    done = {way: Times() for way in ways}
    for _ in range(rounds):
        for way in ways:
            works: dict[str, Callable[[], None]] = {
                "ours": lambda: bench.ours(lock, Path(tempfile.mkdtemp(dir=bench.folder))),
                "ours, later": lambda: bench.ours_later(
                    lock, Path(tempfile.mkdtemp(dir=bench.folder))
                ),
                "next": lambda: bench.ours(lock, remembered),
                "hand": lambda: bench.by_hand(lock, bytecode=False),
                "hand + pyc": lambda: bench.by_hand(lock, bytecode=True),
            }
            with bench.new_repository():
                measure(works[way], done[way])
            print(f"{name}, {way}: {done[way].seconds[-1]:.2f} s", file=sys.stderr, flush=True)
            for left in bench.folder.glob("tmp*"):
                shutil.rmtree(left, ignore_errors=True)
    return done


def row(name: str, way: str, times: Times, done: dict[str, Times]) -> str:
    def spread(values: list[float]) -> str:
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    def ratio(other: str) -> str:
        if other not in done:
            return ""
        return f"{statistics.median(times.seconds) / statistics.median(done[other].seconds):.2f}"

    cells = [name, way, spread(times.seconds), spread(times.processor), ratio("hand"),
             ratio("hand + pyc"), f"{max(times.memory):.0f} MB"]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    all_ways = ["ours", "next", "hand", "hand + pyc"]
    parser.add_argument(
        "--ways", nargs="+", default=all_ways, choices=[*all_ways, "ours, later"], metavar="WAY"
    )
    parser.add_argument("--megabytes", type=float)
    chosen = parser.parse_args()
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: chosen.cores]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")
    adopt_orphans()
    import django

    django.setup()
    from tests.local_aws import local_aws

    print(f"{chosen.cores} cores, load {os.getloadavg()[0]:.1f}")
    print("| set | way | seconds | processor | of hand | of hand + pyc | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        paced = PacedTransport(chosen.megabytes) if chosen.megabytes else None
        with local_aws(folder / "aws") as aws, aws.client(transport=paced) as client:
            bench = Bench(folder, aws, client, chosen.cores)
            for one in chosen.sets:
                done = rounds_of(one, bench, chosen.rounds, chosen.ways)
                for way, times in done.items():
                    print(row(one, way, times, done), flush=True)


if __name__ == "__main__":
    main()
