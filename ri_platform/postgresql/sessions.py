"""The limits of sessions: no process waits for ever for a PostgreSQL that is gone, or for a lock of a process
that is paused or whose host is gone.

A lock is held until its session ends. PostgreSQL sees at once that a process has ended, but a host that
vanished closes nothing, and a paused process does not either. So PostgreSQL asks the other side whether it is
there, and ends transactions that stand still. A session lock of a process that is paused on a host that is
there stays, as it must (`images.jobs.putting`): work that waits for it in a worker is left for later.
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import Connection

# How long this process waits for a PostgreSQL that does not answer (libpq): to connect, and until a
# connection with nothing on its way, or with something that is not confirmed, counts as lost.
OF_THE_CLIENT: Mapping[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Milliseconds.
    "tcp_user_timeout": 15_000,
}
# The same at the server's end. On a Unix socket they mean nothing.
_OF_EVERY_SESSION = {
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
}
# Nothing is asked of anybody else within a transaction, so one that stands still is of a paused process.
STANDING_TRANSACTION = {"idle_in_transaction_session_timeout": "30s"}
# Longer than anybody holds a row, shorter than a lease.
WAITING_FOR_A_LOCK = {"lock_timeout": "5s"}
_SET = """
SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS given (name, value)
"""

limits = dict(_OF_EVERY_SESSION)


def introduce(*more: Mapping[str, str]) -> None:
    """Have every connection that this process opens from now on have these limits, too."""
    for each in more:
        limits.update(each)


def limit(link: Connection) -> None:
    """Set the limits on a new connection. Migrations and commands, which introduce none, wait for locks."""
    with link.transaction():
        link.execute(_SET, [list(limits), list(limits.values())])
