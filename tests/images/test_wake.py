"""The enum of tasks is the only list of them: what is registered, routed, scheduled and shown follows it."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings

from images import tasks
from images.wake import DUE, Task
from ri_platform.celery import app
from ri_platform.processes import SCHEDULER


def test_every_task_is_named_and_every_name_is_a_task() -> None:
    registered = {name for name, task in app.tasks.items() if task.__module__ == tasks.__name__}
    assert registered == {str(task) for task in Task} | done_by_the_scheduler()


def test_what_only_asks_the_database_waits_in_no_queue_behind_calls_to_aws() -> None:
    named = ("sweep", "tidy_due", "verify_due")
    assert done_by_the_scheduler() == {f"{tasks.__name__}.{name}" for name in named}


def done_by_the_scheduler() -> set[str]:
    entries: dict[str, dict[str, Any]] = settings.CELERY_BEAT_SCHEDULE
    return {
        entry["task"] for entry in entries.values() if entry["options"].get("queue") == SCHEDULER
    }


@pytest.mark.parametrize("task", Task)
def test_a_message_goes_to_the_queue_of_its_task(task: Task) -> None:
    assert app.amqp.router.route({}, str(task))["queue"].name == task.queue


def test_a_task_of_somebody_else_goes_to_the_default_queue() -> None:
    assert app.amqp.router.route({}, "celery.ping")["queue"].name == "registry"


def test_workers_read_every_queue() -> None:
    assert {task.queue for task in Task} == {queue.name for queue in settings.CELERY_TASK_QUEUES}


def test_the_scheduler_sends_tasks_that_exist() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)


def test_the_view_of_due_work_names_tasks_that_exist() -> None:
    module = import_module("images.migrations.0048_what_waits")
    named = {row[0] for row in module.LEASED}
    named |= set(re.findall(r"'((?:prepare|delete|move)_\w+)'", module.UNLEASED))
    assert named == set(DUE)
