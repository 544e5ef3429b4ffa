"""How often scenarios run, with which seed, and the table at the end.

`RI_TEST_FAULT_RUNS` is how often (`make faults RUNS=20`). Without it, those that CI has time for run once.
`RI_TEST_FAULT_SEED` repeats a run's choices; who is quicker on a busy machine stays open.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.instance import Instance, running_instance
from tests.faults.run import TABLE, Run

RUNS = int(os.environ.get("RI_TEST_FAULT_RUNS", "0"))
SEED = int(os.environ.get("RI_TEST_FAULT_SEED") or time.time())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(max(1, RUNS)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes long to `make faults`."""
    if not RUNS:
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]


def pytest_report_header() -> str:
    return f"RI_TEST_FAULT_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TABLE.seconds:
        terminalreporter.section(
            f"seconds from a fault's end to the last end (RI_TEST_FAULT_SEED={SEED})"
        )
        for line in TABLE.lines():
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """One for all scenarios: what one leaves behind, the next has to bear."""
    folder = Path(tempfile.mkdtemp(prefix="ri-faults-"))
    with running_instance(folder, random.Random(SEED)) as found:
        yield found
    if request.session.testsfailed:
        print(f"\nThe instance's logs are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


_numbers = iter(range(1_000_000))


@pytest.fixture
def run(instance: Instance, number: int, request: pytest.FixtureRequest) -> Iterator[Run]:
    """A run; after it, all must have their end and the verifier must find nothing."""
    chance = random.Random(f"{SEED} {request.node.nodeid}")
    found = Run(instance, next(_numbers), chance)
    yield found
    instance.aws_proxy.recover()
    instance.index_proxy.recover()
    instance.held_down.clear()
    TABLE.add(request.node.originalname.removeprefix("test_").replace("_", " "), found.finish())
