"""The Celery application. The queue of a task determines its AWS identity."""

from __future__ import annotations

import os
import time
from typing import Any

import celery
import structlog
from celery import Celery, signals
from django.dispatch import receiver
from django_structlog.celery.signals import (
    bind_extra_task_metadata,
    modify_context_before_task_publish,
)
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu.exceptions import OperationalError

from ri_platform import pgmq
from ri_platform.locks import left_for_later
from ri_platform.postgresql import sessions
from ri_platform.processes import SCHEDULER

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")


class Task(celery.Task):  # type: ignore[type-arg]
    """A task that ends where another process holds a lock for long. Its work is due, so it comes again."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        with left_for_later(self.name):
            return self.run(*arguments, **options)


# A confirmed message took milliseconds.
CONFIRM_SECONDS = 5.0


class Application(Celery):
    """Celery, whose every message has an end: a broker that takes it and does not confirm is given up.

    RabbitMQ does not while an alarm of memory or disk lasts, or a quorum queue has no majority.
    """

    def send_task(  # type: ignore[override]
        self,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        *,
        producer: Any = None,
        **options: Any,
    ) -> Any:
        """Send a message within seconds, or raise the broker's error. What it was for stays due."""
        options.setdefault("confirm_timeout", CONFIRM_SECONDS)
        with self.producer_or_acquire(producer) as used:
            try:
                return super().send_task(name, args, kwargs, producer=used, **options)
            except OperationalError:
                # Its confirmation may still come, and would be taken for that of the next message.
                used.connection.collect()
                raise


pgmq.use()
app = Application("ri_platform", task_cls=Task)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Binds the context of a message to the log lines of its task.
app.steps["worker"].add(DjangoStructLogInitStep)


@signals.setup_logging.connect
def leave_logging_to_the_settings(**signal: Any) -> None:
    """Do nothing: Celery configures no logging if this signal has a receiver."""


@signals.worker_init.connect
@signals.beat_init.connect
def limit_sessions(**signal: Any) -> None:
    sessions.introduce(sessions.STANDING_TRANSACTION, sessions.WAITING_FOR_A_LOCK)


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


@receiver(modify_context_before_task_publish)
def send_the_request_along(context: dict[str, Any], **signal: Any) -> None:
    """Keep only the request's id of the sender's context."""
    request_id = context.get("request_id")
    context.clear()
    if request_id:
        context["request_id"] = request_id


@receiver(bind_extra_task_metadata)
def begin_task(task: Any, **signal: Any) -> None:
    structlog.contextvars.bind_contextvars(task=task.name.rpartition(".")[2])
    task.request.begun = time.monotonic()


@signals.task_postrun.connect
def end_task(task: Any, state: str | None, **signal: Any) -> None:
    from ri_platform.metrics import TASK_SECONDS

    seconds = time.monotonic() - task.request.begun
    TASK_SECONDS.labels(task.name.rpartition(".")[2], (state or "").lower()).observe(seconds)
    structlog.contextvars.clear_contextvars()
