"""The platform's builds beside those of others, a table for each set of libraries: `make bench`.

All ways in `benchmarks.ways` have the same base image, which is there before, and push to the same registry,
that of an instance which is started on an empty state folder for each set and round. They take turns within
a round: *cold*, with no wheel, layer, bytecode or resolution from before; *warm*, the same libraries again
with what the way kept; *one more*, with one small library added. Everybody resolves the same names, without a
lock.

The platform is held to what others cannot call a favour: no layers are prepared ahead, what was resolved a
moment ago is resolved again, and of builders with their own cache of steps one more library is a step of its
own, so that the others' step is found made. *Seconds* is the median of the rounds, *lowest* and *highest* are
the spread; *ours takes* is our median in that state, in parts of the way's: above 1 we are slower. *Import*
is the best of three first imports of the set in the image of the first round, where we are root and there is
skopeo. *Load* is the highest load average before any of the row's builds. Import checks are off: their worker
would share the processor with whatever is measured next.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.instance import ROOT, instance
from benchmarks.pulled import import_seconds
from benchmarks.sets import SETS
from benchmarks.ways import WAYS, Place, open_way

COLD, WARM, MORE = STATES = ("cold", "warm", "one more")
UNFLATTERED = {
    "RI_IMPORT_CHECK": "off",
    "RI_INDEX_PAGES_SECONDS": "0",
    "RI_PREPARED_LAYERS": "false",
    "RI_VERIFY_MINUTES": "0",
}
# A way and a state.
Key = tuple[str, str]


@dataclass(frozen=True)
class Made:
    """One build: seconds, and the load average before it."""

    seconds: float
    load: float
    imported: float | None = None


@dataclass
class Row:
    """The builds of one way in one state, a round each."""

    builds: list[Made] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(made.seconds for made in self.builds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    ways = usable(asked.ways)
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f} at the beginning, {asked.rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "benchmarks") as folder:
        for name in asked.sets:
            rows: dict[Key, Row] = defaultdict(Row)
            for number in range(asked.rounds):
                for key, made in in_a_process(name, ways, Path(folder), imports=number == 0):
                    rows[key].builds.append(made)
            print(f"\n{name}: {', '.join(SETS[name].libraries)}\n\n{table(rows)}", flush=True)


def usable(ways: Sequence[str]) -> list[str]:
    """The ways that this machine has; says which it has not."""
    if shutil.which("buildah") and os.geteuid() == 0:
        return list(ways)
    print("buildah is not here, or we are not root: none of its rows.", file=sys.stderr)
    return [way for way in ways if "buildah" not in way]


def in_a_process(
    name: str, ways: Sequence[str], folder: Path, *, imports: bool
) -> list[tuple[Key, Made]]:
    """A round in a process of its own: Django is set up once in one, and each instance has a database."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=run_round, args=(name, ways, folder, imports, theirs))
    process.start()
    theirs.close()
    try:
        found: list[tuple[Key, Made]] = mine.recv()
    except EOFError:
        sys.exit(f"A round of {name} failed; what it said stands above.")
    finally:
        process.join()
    return found


def run_round(
    name: str, ways: Sequence[str], folder: Path, imports: bool, answer: Connection
) -> None:
    """Send each way's builds of a set, in all states."""
    found = []
    with tempfile.TemporaryDirectory(dir=folder) as mine:
        place = Place(Path(mine), Path(mine) / "state")
        keep_bases(place.state, folder)
        with instance(place.state, UNFLATTERED):
            for way in ways:
                for state, made in measure(way, name, place, imports):
                    found.append(((way, state), made))
                    print(f"{name}, {way}, {state}: {made.seconds:.2f} s", file=sys.stderr)
    answer.send(found)


def keep_bases(state: Path, folder: Path) -> None:
    """Have all instances use one file system of the base, which takes a minute to make."""
    (folder / "bases").mkdir(exist_ok=True)
    (state / "cache").mkdir(parents=True)
    (state / "cache/bases").symlink_to(folder / "bases")


def measure(way: str, name: str, place: Place, imports: bool) -> list[tuple[str, Made]]:
    """A way's builds of a set, by state."""
    wanted = {COLD: SETS[name], WARM: SETS[name], MORE: SETS[name].with_one_more}
    may_import = imports and os.geteuid() == 0 and shutil.which("skopeo")
    found = []
    with open_way(way, place) as maker:
        for state in STATES:
            load = os.getloadavg()[0]
            begun = time.perf_counter()
            maker.make(wanted[state])
            seconds = time.perf_counter() - begun
            imported = None
            if may_import and state == COLD and maker.reference:
                imported = import_seconds(maker.reference, SETS[name].statement, place.state)
            found.append((state, Made(seconds, load, imported)))
    return found


def table(rows: Mapping[Key, Row]) -> str:
    """Markdown, the states of a way beside each other."""
    lines = [
        "| way | state | seconds | lowest | highest | ours takes | import | load |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (way, state), row in rows.items():
        seconds = [made.seconds for made in row.builds]
        imported = [made.imported for made in row.builds if made.imported is not None]
        ours = rows.get(("ours", state))
        cells = [
            way,
            state,
            f"{row.median:.2f}",
            f"{min(seconds):.2f}",
            f"{max(seconds):.2f}",
            f"{ours.median / row.median:.2f}" if ours and way != "ours" else "",
            f"{imported[0]:.2f}" if imported else "",
            f"{max(made.load for made in row.builds):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
