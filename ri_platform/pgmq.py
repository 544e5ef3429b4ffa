"""kombu's transport for pgmq, whose worker goes on after an acknowledgement that failed.

A worker reserves one message at a time, and kombu's channel forgets it only once it is deleted. If PostgreSQL
restarts in that moment, Celery logs the error and goes on, and the worker takes no other message for as long
as it runs. The message itself may stay: it becomes visible again, and finds its work done.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, pgmq, virtual


class Channel(pgmq.Channel):
    """A channel that forgets what it could not acknowledge."""

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        try:
            super().basic_ack(delivery_tag, multiple)  # type: ignore[no-untyped-call]
        except Transport.connection_errors:
            virtual.Channel.basic_ack(self, delivery_tag)
            raise

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().basic_reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        except Transport.connection_errors:
            self.qos.reject(delivery_tag, requeue=False)
            raise


class Transport(pgmq.Transport):
    Channel: Any = Channel


def use() -> None:
    """Have addresses that begin with `pgmq://` mean this transport."""
    TRANSPORT_ALIASES["pgmq"] = f"{__name__}:Transport"
