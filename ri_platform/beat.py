"""Celery's scheduler, which connects anew after a message that it could not send.

Celery's own has one channel for as long as it runs, and leaves it to the repetition of a message to mend it.
That is off here (`CELERY_TASK_PUBLISH_RETRY`), since no request may wait for a broker that is down; so after
a restart of RabbitMQ no sweep was sent any more.
"""

from __future__ import annotations

from typing import Any

from celery import beat
from kombu.common import ignore_errors


class Scheduler(beat.PersistentScheduler):
    def apply_async(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().apply_async(*arguments, **options)
        except beat.SchedulingError:
            # The next message makes both anew, and waits until the broker is there.
            self.__dict__.pop("producer", None)
            connection = self.__dict__.pop("connection", None)
            if connection is not None:
                ignore_errors(connection, connection.release)
            raise
