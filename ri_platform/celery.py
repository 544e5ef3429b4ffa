"""The Celery application. The queue of a task determines its AWS identity."""

from __future__ import annotations

import os
import time
from typing import Any

import structlog
from celery import Celery, signals

from ri_platform.processes import SCHEDULER

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")

app = Celery("ri_platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# The headers of a message hold the request's id, so that one id finds the log lines of both sides.
REQUEST_ID = "ri_request_id"


@signals.setup_logging.connect
def leave_logging_to_the_settings(**signal: Any) -> None:
    """Do nothing: Celery configures no logging if this signal has a receiver."""


@signals.worker_init.connect
def serve_a_workers_metrics(sender: Any, **signal: Any) -> None:
    # A worker's host name is `<queue>@<machine>`.
    serve_metrics(sender.hostname.partition("@")[0])


@signals.beat_init.connect
def serve_the_schedulers_metrics(**signal: Any) -> None:
    serve_metrics(SCHEDULER)


def serve_metrics(process: str) -> None:
    from ri_platform import metrics

    metrics.introduce(process)
    metrics.serve()


@signals.worker_init.connect
@signals.beat_init.connect
def declare_queues(**signal: Any) -> None:
    """Declare all queues: RabbitMQ drops a message to a queue that is not declared.

    With pgmq a migration creates them.
    """
    from django.conf import settings

    if settings.RABBITMQ:
        with app.connection_for_write() as connection:
            connection.ensure_connection()
            for queue in app.amqp.queues.values():
                queue(connection.default_channel).declare()


@signals.before_task_publish.connect
def send_the_request_along(headers: dict[str, Any], **signal: Any) -> None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id:
        headers[REQUEST_ID] = request_id


@signals.task_prerun.connect
def begin(task_id: str, task: Any, **signal: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        task=task.name.rpartition(".")[2],
        task_id=task_id,
        request_id=(task.request.headers or {}).get(REQUEST_ID) or task.request.get(REQUEST_ID),
    )
    task.request.begun = time.monotonic()


@signals.task_postrun.connect
def end(task: Any, state: str | None, **signal: Any) -> None:
    from ri_platform.metrics import TASK_SECONDS

    seconds = time.monotonic() - task.request.begun
    TASK_SECONDS.labels(task.name.rpartition(".")[2], (state or "").lower()).observe(seconds)
    structlog.contextvars.clear_contextvars()
