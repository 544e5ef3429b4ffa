"""What the runs came to: a line of JSON each in a file, so that rounds add up, and the table made of it.

`python -m tests.faults.results` prints the table.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

# Repeats the choices of a run.
SEED = os.environ.get("RI_TEST_FAULT_SEED") or str(int(time.time()))
FILE = Path(__file__).resolve().parents[2] / "test-results/faults.jsonl"


@dataclass(frozen=True)
class Result:
    """One run of a scenario: the seconds from the fault's end to the last end of a request, and of the whole
    run. `problem` is what went wrong, empty if nothing did.
    """

    scenario: str
    recovery: float
    whole: float
    seed: str
    # The machine's load in the last minute.
    load: float
    problem: str = ""


def keep(scenario: str, recovery: float, whole: float, seed: str, problem: str) -> None:
    """Append a run; what an interruption leaves is whole lines."""
    result = Result(
        scenario, round(recovery, 1), round(whole, 1), seed, round(os.getloadavg()[0], 1), problem
    )
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def kept() -> list[Result]:
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    return [Result(**json.loads(line)) for line in lines]


def table(results: list[Result]) -> Iterator[str]:
    by_scenario: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_scenario[result.scenario].append(result)
    yield "| scenario | runs | failed | median | worst |"
    yield "| --- | --- | --- | --- | --- |"
    for scenario, runs in sorted(by_scenario.items()):
        good = [run.recovery for run in runs if not run.problem]
        times = f"{median(good):.1f} s | {max(good):.1f} s" if good else "| "
        yield f"| {scenario} | {len(runs)} | {len(runs) - len(good)} | {times} |"


if __name__ == "__main__":
    print(*table(kept()), sep="\n")
