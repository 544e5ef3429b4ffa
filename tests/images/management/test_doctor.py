"""`manage.py doctor`: one table of all findings, and exit status 1 if one of them failed."""

from __future__ import annotations

import re
from contextlib import nullcontext
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from images import tasks
from images.management.commands import doctor
from images.models import BaseImage, Build, Status
from images.wake import Task
from tests import factories
from tests.local_aws import LocalAWS

IDENTITIES = {
    Task.TRY_REGISTRY_SERVER: "registry-server",
    Task.TRY_BUILD_JOBS: "build-jobs",
    Task.TRY_SOURCES: "build-jobs",
    Task.END_TRIAL: "registry-server",
}


def diagnosis(seconds: float) -> tuple[int, str]:
    """The command's exit status, and the words of its table, each cell's in a row."""
    output = StringIO()
    code: Any = 0
    try:
        call_command("doctor", "--seconds", str(seconds), stdout=output)
    except SystemExit as ended:
        code = ended.code
    return code, output.getvalue()


def state_of(what: str, table: str) -> str:
    """The state of a row, whose name is on one line."""
    found = re.search(rf"^{re.escape(what)} +(ok|warning|FAILED|skipped) ", table, re.MULTILINE)
    assert found, table
    return found[1]


@pytest.fixture(autouse=True)
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COLUMNS", "400")


@pytest.mark.slow
@pytest.mark.network
def test_with_workers_that_answer_every_part_has_its_row(
    registry: LocalAWS, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def carry_out(task: Task, trial: int) -> None:
        """As the worker of the task's queue does, under its identity."""
        identity = IDENTITIES.get(task)
        with registry.identity(identity) if identity else nullcontext():
            getattr(tasks, task.rpartition(".")[2])(trial)

    factories.make_instance()
    monkeypatch.setattr(doctor, "send", carry_out)
    _, table = diagnosis(60)
    for what in (
        "Database",
        "Migrations",
        "Web: AWS identity",
        "Registry worker: AWS identity",
        "Registry worker: mark",
        "Registry worker: repository",
        "Registry worker: removal",
        "Builds worker: AWS identity",
        "Builds worker: push and pull",
        "Builds worker: package index",
        "Webhooks worker: AWS identity",
    ):
        assert state_of(what, table) == "ok", what
    assert state_of("Builds worker: OS packages", table) in ("ok", "skipped")


@pytest.mark.slow
def test_workers_that_do_not_answer_fail_with_the_queue_to_start(db: None, settings: Any) -> None:
    settings.SOURCE_BUILDS_ALLOWED = False
    code, table = diagnosis(0)
    assert code == 1
    assert state_of("Builds worker", table) == "FAILED"
    assert "Start a worker of the queue builds" in table
    assert "Source builds are turned off." in table
    assert re.search(r"^\d+ of \d+ failed\.$", table, re.MULTILINE)


@pytest.mark.slow
def test_a_builds_worker_that_is_at_work_is_no_failure(db: None, base: BaseImage) -> None:
    image = factories.make_image("churn", base=base, status=Status.BUILDING_FIRST_TIME)
    assert Build.objects.claim(image.builds.get().pk, 30) is not None
    _, table = diagnosis(0)
    assert state_of("Builds worker", table) == "warning"
    assert "it is busy (" in table
    assert state_of("Registry worker", table) == "FAILED"


def test_without_a_database_nothing_else_is_tried(db: None) -> None:
    def refuse(*arguments: Any) -> Any:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(refuse):
        code, table = diagnosis(0)
    assert code == 1
    assert state_of("Database", table) == "FAILED"
    assert state_of("The rest", table) == "skipped"
    assert "Registry worker" not in table


@pytest.mark.slow
def test_where_the_registry_is_off_no_worker_is_asked(db: None, settings: Any) -> None:
    settings.IMAGE_REGISTRY_ENABLED = False
    _, table = diagnosis(0)
    assert state_of("Workers", table) == "skipped"
    assert "RI_IMAGE_REGISTRY_ENABLE" in table
