"""Celery's scheduler, which does by itself what only asks the database, and sends the rest to the workers.

The sweep is what mends lost messages and dead workers, so it waits in no queue behind other work. Entries of
the schedule with the queue `scheduler` are done here, one after the other, and any number of times.

After a message that it could not send, the scheduler connects anew. Celery's own has one channel for as long
as it runs, and leaves it to the repetition of a message to mend it. That is off here
(`CELERY_TASK_PUBLISH_RETRY`), since no request may wait for a broker that is down; so after a restart of
RabbitMQ no message was sent any more.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import structlog
from celery import Task, beat
from django.db import close_old_connections
from kombu.common import ignore_errors

from ri_platform.metrics import TASK_SECONDS
from ri_platform.processes import SCHEDULER

log = logging.getLogger(__name__)


class Scheduler(beat.PersistentScheduler):
    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        if entry.options.get("queue") == SCHEDULER:
            do_here(self.app.tasks[entry.task])
        else:
            super().apply_entry(entry, producer)

    def apply_async(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().apply_async(*arguments, **options)
        except beat.SchedulingError:
            # The next message makes both anew, and waits until the broker is there.
            self.__dict__.pop("producer", None)
            connection = self.__dict__.pop("connection", None)
            if connection is not None:
                # Without a word to a broker that may not answer.
                ignore_errors(connection, connection.collect)
            raise


def do_here(task: Task[Any, Any]) -> None:
    """Run a task in this process. What breaks is logged, and done again at its next time."""
    name = task.name.rpartition(".")[2]
    begun, state = time.monotonic(), "success"
    # One that PostgreSQL has closed is not used again.
    close_old_connections()
    with structlog.contextvars.bound_contextvars(task=name):
        try:
            task()
        except Exception:
            state = "failure"
            log.exception("The task %s broke", name)
    close_old_connections()
    TASK_SECONDS.labels(name, state).observe(time.monotonic() - begun)
