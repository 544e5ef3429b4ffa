"""kombu's transport for pgmq, whose sessions have limits, and whose worker goes on after an acknowledgement
that failed.

A worker reserves one message at a time, and kombu's channel forgets it only once it is deleted. If PostgreSQL
restarts in that moment, Celery logs the error and goes on, and the worker takes no other message for as long
as it runs. The message itself may stay: it becomes visible again, and finds its work done.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, pgmq, virtual
from pgmq import PGMQueue
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

from ri_platform.database_errors import FOR_A_WHILE
from ri_platform.postgresql import sessions

# A request waits so long for a connection to a PostgreSQL that is gone.
POOL_SECONDS = 5.0


class Client(PGMQueue):  # type: ignore[no-untyped-call]
    """A client whose connections have the limits of all others, and what else the address says."""

    @property
    def address(self) -> str:
        config = self.config
        words: dict[str, Any] = {
            "host": config.host,
            "port": config.port,
            "dbname": config.database,
            "user": config.username,
            "password": config.password,
            **sessions.OF_THE_CLIENT,
            **conninfo_to_dict(config.conn_string or ""),
        }
        return make_conninfo("", **words)

    def _init_pool(self) -> None:
        self.pool = ConnectionPool(
            self.address,
            min_size=1,
            max_size=self.config.pool_size,
            timeout=POOL_SECONDS,
            configure=sessions.limit,
            open=True,
        )


class Channel(pgmq.Channel):
    """A channel that forgets what it could not acknowledge, and begins to listen when no other does."""

    def _maybe_enable_notify(self, queue: str, queue_name: str | None = None) -> None:
        """Makes the queue's trigger anew: workers that did so at once failed, and ended."""
        pool: Any = self.pgmq.pool
        with pool.connection() as link, link.transaction():
            link.execute("SELECT pg_advisory_xact_lock(hashtext('pgmq notify'))")
            super()._maybe_enable_notify(queue, queue_name)  # type: ignore[no-untyped-call]

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
    """Errors after which a worker connects again include those of a server that takes no changes yet."""

    Channel: Any = Channel
    connection_errors: Any = (*pgmq.Transport.connection_errors, *FOR_A_WHILE)

    def _create_pgmq_client(self) -> Client:
        options: dict[str, Any] = self.client.transport_options  # type: ignore[union-attr,assignment]
        return Client(
            conn_string=options["conn_string"],
            vt=Channel.default_visibility_timeout,
            init_extension=False,
            pool_size=Channel.default_pool_size,
        )

    def _get_notify_waiter(self) -> Any:
        if self._notify_waiter is None:
            client: Any = self._get_pgmq_client()
            self._notify_waiter = pgmq._NotifyWaiter(client.address)
        return self._notify_waiter


def use() -> None:
    """Have addresses that begin with `pgmq://` mean this transport."""
    TRANSPORT_ALIASES["pgmq"] = f"{__name__}:Transport"
