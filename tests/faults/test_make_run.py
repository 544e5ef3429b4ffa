"""`make run` is ended and started again while builds are under way."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.installation import Installation
from tests.faults.made_run import MadeRun, made_run
from tests.faults.results import SEED
from tests.faults.run import Run

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(scope="session")
def made(folder: Path) -> Iterator[MadeRun]:
    with made_run(folder / "make-run", random.Random(SEED)) as found:
        yield found


@pytest.fixture
def installation(made: MadeRun) -> Installation:
    return made


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGTERM, id="told to end"),
        pytest.param(signal.SIGKILL, id="killed", marks=pytest.mark.soak),
    ],
)
def test_make_run_is_ended_and_started_in_the_middle(
    run: Run, made: MadeRun, how: signal.Signals
) -> None:
    made.index_proxy.slow_down(r"GET .*\.whl", 0.5)
    run.load(4)
    time.sleep(run.chance.uniform(0, 4))
    made.end(how)
    made.index_proxy.recover()
    run.fault_ended()
    made.start()
