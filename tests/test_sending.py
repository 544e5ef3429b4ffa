"""Messages to a broker that takes them and does not confirm: whoever sends goes on within seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery.beat import ScheduleEntry
from celery.schedules import schedule
from django.conf import settings
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError

from ri_platform import celery
from ri_platform.beat import Scheduler
from tests.faults.proxy import Gate
from tests.needs import require
from tests.rabbitmq import rabbitmq
from tests.workers import until

pytestmark = pytest.mark.slow
QUEUE = Queue("sent", Exchange(""), routing_key="sent")
# More than there are connections in a pool.
TIMES = 12


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    require("rabbitmq")
    with rabbitmq() as address:
        with Connection(address) as link:
            QUEUE(link.default_channel).declare()
        yield address


@pytest.fixture
def gate(broker: str) -> Iterator[Gate]:
    gate = Gate(int(broker.rpartition(":")[2].strip("/")))
    yield gate
    gate.open()
    gate.close()


@pytest.fixture
def app(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> celery.Application:
    monkeypatch.setattr(celery, "CONFIRM_SECONDS", 0.5)
    # It goes before every other setting of a broker.
    monkeypatch.setenv("CELERY_BROKER_URL", f"amqp://guest:guest@127.0.0.1:{gate.port}//")
    app = celery.Application("test", set_as_current=False)
    app.conf.update(
        task_publish_retry=celery.app.conf.task_publish_retry,
        task_ignore_result=True,
        broker_transport_options=settings.RABBITMQ_OPTIONS,
    )
    return app


def send(app: celery.Application) -> None:
    app.send_task("sweep", queue=QUEUE, declare=())


def arrived(broker: str) -> int:
    with Connection(broker) as link:
        return QUEUE(link.default_channel).purge() or 0


def test_a_message_that_is_not_confirmed_is_given_up(
    app: celery.Application, gate: Gate, broker: str
) -> None:
    arrived(broker)
    for _ in range(TIMES):
        send(app)
        gate.silence()
        with pytest.raises(OperationalError):
            send(app)
        gate.open()
    send(app)
    # What was given up arrived all the same, as it may.
    assert arrived(broker) >= TIMES + 1


def test_the_scheduler_goes_on_after_a_message_that_was_not_confirmed(
    app: celery.Application, gate: Gate, broker: str, tmp_path: Path
) -> None:
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "beat"))
    entry = ScheduleEntry(
        "sweep", "sweep", schedule=schedule(1.0), options={"queue": QUEUE}, app=app
    )

    def sends_one() -> bool:
        scheduler.apply_entry(entry, producer=scheduler.producer)
        return arrived(broker) > 0

    until(sends_one, 30)
    gate.silence()
    scheduler.apply_entry(entry, producer=scheduler.producer)
    gate.open()
    arrived(broker)
    until(sends_one, 30)
    scheduler.close()


def test_every_message_of_an_instance_is_sent_so() -> None:
    assert isinstance(celery.app, celery.Application)
