"""How often scenarios run, with which seed, and the table at the end.

`RI_TEST_FAULT_RUNS` is how often (`make faults RUNS=20`). Without it, those that CI has time for run once.
`RI_TEST_FAULT_SEED` repeats a run's choices; who is quicker on a busy machine stays open.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.faults import results
from tests.faults.installation import Installation
from tests.faults.instance import Instance, running_instance
from tests.faults.results import SEED
from tests.faults.run import Run

RUNS = int(os.environ.get("RI_TEST_FAULT_RUNS", "0"))
# What was wrong with a test's call, empty if nothing was.
CALLED = pytest.StashKey[str]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The number of the round; `tests.order` has one round of all scenarios follow the other."""
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(max(1, RUNS)), scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes long to `make faults`."""
    if not RUNS:
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]


def pytest_report_header() -> str:
    return f"RI_TEST_FAULT_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if RUNS:
        terminalreporter.section(f"seconds from a fault's end to the last end, {results.FILE}")
        for line in results.table(results.all_runs()):
            terminalreporter.line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[CALLED] = call.excinfo.exconly() if call.excinfo and report.failed else ""
    return report


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of the instances, which is kept if something failed."""
    made = Path(tempfile.mkdtemp(prefix="ri-faults-"))
    made.chmod(0o755)
    yield made
    if request.session.testsfailed:
        print(f"\nThe instance's logs are in {made}")
    else:
        shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def instance(folder: Path) -> Iterator[Instance]:
    """One for all scenarios: what one leaves behind, the next has to bear."""
    with running_instance(folder / "instance", random.Random(SEED)) as found:
        yield found


@pytest.fixture
def installation(instance: Instance) -> Installation:
    """What the scenarios of a module run on. All live until the end, since a start takes half a minute."""
    return instance


@pytest.fixture
def run(installation: Installation, number: int, request: pytest.FixtureRequest) -> Iterator[Run]:
    """A run; after it, all must have their end and the verifier must find nothing.

    Its images are deleted then, while the next run begins.
    """
    chance = random.Random(f"{SEED} {request.node.nodeid}")
    installation.await_parts()
    found = Run(installation, chance)
    yield found
    installation.recover()
    if CALLED not in request.node.stash:
        return  # Somebody interrupted it.
    problem = request.node.stash[CALLED]
    try:
        problem = problem or found.finish()
        if not problem:
            found.delete_images()
    except Exception as error:
        problem = problem or repr(error)
        raise
    finally:
        if RUNS and not isinstance(sys.exception(), KeyboardInterrupt):
            scenario = scenario_of(request.node)
            results.keep(scenario, found.recovery, found.whole, SEED, problem)
            for what, seconds in found.measured.items():
                results.keep(what, seconds, found.whole, SEED, "")
    assert not problem or request.node.stash[CALLED], problem


def scenario_of(node: pytest.Function) -> str:
    """A test's name in words, with the case that is its parameter."""
    words = node.originalname.removeprefix("test_").replace("_", " ")
    case = node.callspec.id.removeprefix(str(node.callspec.params["number"])).strip("-")
    return f"{words} ({case})" if case else words
