"""The broker in PostgreSQL: a consumer whose acknowledgement failed takes the next message all the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connection as database
from kombu import Connection, Consumer, Exchange, Queue
from kombu.exceptions import OperationalError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ri_platform import pgmq
from ri_platform.local import services
from ri_platform.postgresql import sessions

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
QUEUE = Queue("webhooks", Exchange(""), routing_key="webhooks")


@pytest.fixture
def address() -> str:
    settings = database.settings_dict
    return services.database_url(str(settings["HOST"]), str(settings["NAME"]))


@pytest.fixture
def broker(address: str) -> Iterator[Connection]:
    with psycopg.connect(address, autocommit=True) as link:
        link.execute("SELECT pgmq.purge_queue('webhooks')")
    with connected(address) as connection:
        yield connection


def connected(address: str, *, use_notify: bool = False, **words: str) -> Connection:
    pgmq.use()
    said = {word: str(value) for word, value in conninfo_to_dict(address).items()}
    options = {
        "init_extension": False,
        "conn_string": make_conninfo("", **said, **words),
        "wait_time_seconds": 0,
        "use_notify": use_notify,
    }
    return Connection("pgmq://localhost/x", transport_options=options)


def test_a_postgresql_that_takes_no_changes_yet_is_connected_to_again(address: str) -> None:
    """As it recovers, or before a standby is promoted. Celery ends a worker by any other error."""
    with (
        connected(address, options="-c default_transaction_read_only=on") as broker,
        Consumer(broker, [QUEUE], callbacks=[], accept=["json"], auto_declare=False),
        pytest.raises(broker.connection_errors) as met,
    ):
        broker.drain_events(timeout=5)
    assert isinstance(met.value, psycopg.errors.ReadOnlySqlTransaction)


def test_its_sessions_have_the_limits_of_the_others(
    broker: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "limits", {**sessions.limits, **sessions.WAITING_FOR_A_LOCK})
    channel: Any = broker.channel()
    with channel.pgmq.pool.connection() as link:
        assert link.execute("SHOW lock_timeout").fetchone() == ("5s",)
        told = link.info.get_parameters()
    assert {word: told[word] for word in sessions.OF_THE_CLIENT} == {
        word: str(value) for word, value in sessions.OF_THE_CLIENT.items()
    }


def test_a_postgresql_that_never_answers_is_told_in_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=x"
        options = {"init_extension": False, "conn_string": words}
        broker = Connection("pgmq://localhost/x", transport_options=options)
        with pytest.raises(OperationalError), broker.Producer() as producer:
            producer.publish({}, routing_key="webhooks", declare=())
        transport: Any = broker.transport
        transport._get_pgmq_client().close()


def end_connections(address: str) -> None:
    """As a PostgreSQL that restarts does; Django's is left."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (kept,) = cursor.fetchone()
    with psycopg.connect(address, autocommit=True) as link:
        link.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
            [kept],
        )


def test_workers_of_a_queue_may_start_at_once(address: str) -> None:
    def start(number: int) -> None:
        with connected(address, use_notify=True) as broker:
            channel: Any = broker.channel()
            for _ in range(20):
                channel.basic_consume("webhooks", False, print, f"worker-{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))


@pytest.mark.parametrize("end", ["ack", "reject"])
def test_a_failed_acknowledgement_does_not_end_a_consumer(
    broker: Connection, address: str, end: str
) -> None:
    taken: list[Any] = []
    with broker.Producer() as producer:
        for number in range(2):
            producer.publish({"number": number}, routing_key="webhooks", declare=())
    channel = broker.channel()
    with Consumer(
        channel, [QUEUE], auto_declare=False, on_message=taken.append, prefetch_count=1
    ) as consumer:
        consumer.consume()
        broker.drain_events(timeout=10)
        end_connections(address)
        with pytest.raises(broker.connection_errors):
            getattr(taken[0], end)()
        broker.drain_events(timeout=10)
    assert [message.decode()["number"] for message in taken] == [0, 1]
