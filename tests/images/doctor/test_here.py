"""What the doctor tries in its own process: the configuration, the database, the broker, no AWS identity."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from kombu.transport.memory import Channel

from images.doctor import here
from images.doctor.findings import State
from ri_platform.local import services


@pytest.mark.slow
def test_what_the_checks_say_is_found_with_what_to_do(settings: Any) -> None:
    settings.SECRET_KEY = "short"
    found = [item for item in here.configuration() if "SECRET_KEY" in item.found]
    assert found
    assert {item.what for item in found} == {"Configuration"}
    assert {item.state for item in found} <= {State.WARNING, State.FAILED}
    assert all(item.to_do for item in found)


@pytest.mark.slow
def test_a_database_that_answers_is_told_with_its_version(db: None) -> None:
    finding = here.database()
    assert finding.state == State.OK
    assert finding.found.startswith("PostgreSQL ")


def test_a_database_that_does_not_answer_is_told_with_the_reason(db: None) -> None:
    def refuse(*arguments: Any) -> Any:
        raise OperationalError("the server closed the connection unexpectedly\n")

    with connection.execute_wrapper(refuse):
        finding = here.database()
    assert finding.state == State.FAILED
    assert finding.found.endswith("the server closed the connection unexpectedly")
    assert "DATABASE_URL" in finding.to_do


@pytest.mark.slow
def test_a_migration_that_is_not_applied_fails_with_the_command_to_run(db: None) -> None:
    assert here.migrations().state == State.OK
    applied = MigrationRecorder(connection).migration_qs.filter(app="images")
    applied.filter(name=max(applied.values_list("name", flat=True))).delete()
    finding = here.migrations()
    assert (finding.state, finding.to_do) == (State.FAILED, "Run: manage.py migrate")


def test_a_broker_that_does_not_answer_fails_and_says_that_no_work_is_lost(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    address = f"amqp://127.0.0.1:{services.free_port()}//"
    settings.CELERY_BROKER_URL = address
    monkeypatch.setattr(current_app.conf, "broker_write_url", address)
    finding = here.broker()
    assert finding.state == State.FAILED
    assert finding.found.startswith("amqp does not answer: ")
    assert "No work is lost" in finding.to_do


def test_a_broker_tells_the_messages_that_wait_or_the_queues_that_no_worker_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The queues of the broker in this process, none of which is there.
    monkeypatch.setattr(Channel, "queues", {})
    finding = here.broker()
    assert finding.state == State.WARNING
    assert "has no queue" in finding.found
    with current_app.connection_for_write() as link:
        channel: Any
        with link.channel() as channel:
            for queue in current_app.amqp.queues:
                channel.queue_declare(queue)
    finding = here.broker()
    assert finding.state == State.OK
    assert "builds 0" in finding.found


def test_an_aws_identity_where_none_should_be_is_told_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert here.check_no_identity("Web").state == State.OK
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    finding = here.check_no_identity("Web")
    assert finding.state == State.FAILED
    assert "keys in its environment" in finding.found
