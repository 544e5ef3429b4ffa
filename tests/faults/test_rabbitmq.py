"""RabbitMQ as the broker: away for a minute, and with the messages of workers that are killed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.installation import Installation
from tests.faults.instance import Instance, running_instance
from tests.faults.logs import BROKER_AWAY
from tests.faults.proxy import Gate
from tests.faults.results import SEED
from tests.faults.run import Run
from tests.needs import require
from tests.rabbitmq import rabbitmq

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.soak]
AWAY_SECONDS = 60.0


@pytest.fixture(scope="session")
def gate() -> Iterator[Gate]:
    require("rabbitmq")
    with rabbitmq() as address:
        found = Gate(int(address.rpartition(":")[2].strip("/")))
        yield found
        found.close()


@pytest.fixture(scope="session")
def beside(folder: Path, gate: Gate) -> Iterator[Instance]:
    """An instance whose broker is RabbitMQ, behind a gate."""
    broker = f"amqp://guest:guest@127.0.0.1:{gate.port}//"
    with running_instance(folder / "with-rabbitmq", random.Random(SEED), broker) as found:
        found.tolerated += BROKER_AWAY
        yield found


@pytest.fixture
def installation(beside: Instance) -> Installation:
    return beside


def test_rabbitmq_is_away_for_a_minute(run: Run, gate: Gate) -> None:
    run.load(3, prefix="before")
    time.sleep(run.chance.uniform(0, 2))
    gate.shut()
    opened = threading.Timer(AWAY_SECONDS, gate.open)
    opened.start()
    run.load(3, prefix="meanwhile")
    opened.join()
    run.fault_ended()


def test_workers_are_killed_while_rabbitmq_has_their_messages(run: Run, beside: Instance) -> None:
    run.load(5)
    for name in run.chance.sample(("builds-1", "builds-2", "registry", "scheduler"), 4):
        time.sleep(run.chance.uniform(0.1, 2))
        beside.kill(name)
    run.fault_ended()
