"""The scheduler goes on after its broker was away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import schedule
from kombu import Connection, Exchange, Queue

from ri_platform.beat import Scheduler
from ri_platform.celery import app as ours
from tests.faults.proxy import Gate
from tests.needs import require
from tests.rabbitmq import rabbitmq
from tests.workers import until

pytestmark = pytest.mark.slow
QUEUE = Queue("sweeps", Exchange("sweeps"), routing_key="sweeps")


@pytest.fixture
def broker() -> Iterator[str]:
    require("rabbitmq")
    with rabbitmq() as address:
        yield address


def test_it_sends_again_after_the_broker_was_away(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(int(broker.rpartition(":")[2].strip("/")))
    # It goes before every other setting of a broker.
    monkeypatch.setenv("CELERY_BROKER_URL", f"amqp://guest:guest@127.0.0.1:{gate.port}//")
    app = Celery("test", set_as_current=False)
    app.conf.update(
        task_publish_retry=ours.conf.task_publish_retry,
        broker_transport_options={"confirm_publish": True},
    )
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "beat"))
    entry = ScheduleEntry(
        "sweep", "sweep", schedule=schedule(1.0), options={"queue": QUEUE}, app=app
    )
    with Connection(broker) as link:
        queue = QUEUE(link.default_channel)
        queue.declare()

        def sends_one() -> bool:
            scheduler.apply_entry(entry, producer=scheduler.producer)
            return queue.get(no_ack=True) is not None

        until(sends_one, 30)
        gate.shut()
        scheduler.apply_entry(entry, producer=scheduler.producer)
        gate.open()
        until(sends_one, 30)
    scheduler.close()
    gate.close()


def test_it_is_the_one_that_runs() -> None:
    assert ours.conf.beat_scheduler == "ri_platform.beat:Scheduler"
