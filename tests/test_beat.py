"""The scheduler goes on after what it did itself broke, and after its broker was away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import schedule
from kombu import Connection, Exchange, Queue
from prometheus_client.registry import REGISTRY

from ri_platform.beat import Scheduler
from ri_platform.celery import app as ours
from ri_platform.processes import SCHEDULER
from tests.faults.proxy import Gate
from tests.needs import require
from tests.rabbitmq import rabbitmq
from tests.workers import until

QUEUE = Queue("sweeps", Exchange("sweeps"), routing_key="sweeps")


@pytest.fixture
def broker() -> Iterator[str]:
    require("rabbitmq")
    with rabbitmq() as address:
        yield address


@pytest.mark.django_db(transaction=True)
def test_what_breaks_is_counted_and_ends_no_scheduler(tmp_path: Path) -> None:
    ours.loader.import_default_modules()
    scheduler = Scheduler(ours, schedule_filename=str(tmp_path / "beat"), lazy=True)
    options = {"queue": SCHEDULER}
    # It takes an id, and is given none.
    broken = ScheduleEntry(
        "x", "images.tasks.deliver", schedule=schedule(1), options=options, app=ours
    )
    scheduler.apply_entry(broken)
    labels = {"task": "deliver", "state": "failure"}
    assert REGISTRY.get_sample_value("ri_task_duration_seconds_count", labels) == 1


@pytest.mark.slow
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
