"""What the runs came to: a line of JSON each in a file, so that rounds add up, and the table made of it.

`python -m tests.faults.results` prints the table of this checkout's runs and of those in the documentation;
`--docs` moves the former to the latter, and writes the table there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

TREE = subprocess.run(
    ["git", "describe", "--always", "--dirty"],
    cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
).stdout.strip()  # fmt: skip
# Repeats the choices of a run.
SEED = os.environ.get("RI_TEST_FAULT_SEED") or str(int(time.time()))
ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "test-results/faults.jsonl"
KEPT = ROOT / "docs/measured/faults.jsonl"
PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- begin faults -->\n", "<!-- end faults -->"


@dataclass(frozen=True)
class Result:
    """One run of a scenario: the seconds from the fault's end to the last end of a request, and of the whole
    run. `problem` is what went wrong, empty if nothing did; `tree` the commit that ran.
    """

    scenario: str
    recovery: float
    whole: float
    seed: str
    # The machine's load in the last minute.
    load: float
    problem: str = ""
    tree: str = ""


def keep(scenario: str, recovery: float, whole: float, seed: str, problem: str) -> None:
    """Append a run; what an interruption leaves is whole lines."""
    load = round(os.getloadavg()[0], 1)
    result = Result(scenario, round(recovery, 1), round(whole, 1), seed, load, problem, TREE)
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def kept(file: Path) -> list[Result]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [Result(**json.loads(line)) for line in lines]


def all_runs() -> list[Result]:
    return [*kept(KEPT), *kept(FILE)]


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


def page_with(results: list[Result]) -> str:
    """The page of the documentation with the table of these."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    lines = "".join(f"{line}\n" for line in table(results))
    return f"{before}{BEGIN}{lines}{END}{rest.partition(END)[2]}"


def move_to_docs() -> None:
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as file:
        file.write(FILE.read_text(encoding="utf-8") if FILE.exists() else "")
    FILE.unlink(missing_ok=True)
    PAGE.write_text(page_with(kept(KEPT)), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", action="store_true", help="keep the runs in the documentation")
    if parser.parse_args().docs:
        move_to_docs()
    print(*table(all_runs()), sep="\n")
