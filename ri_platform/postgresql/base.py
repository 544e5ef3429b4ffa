"""The database backend (`ENGINE`): each session has limits (`ri_platform.postgresql.sessions`), and whether a
kept connection still holds is seen at its socket.

Django asks the server for it before each request (`SELECT 1`), which is one statement in four of a short
answer. A server that ended, was restarted or has dropped the connection has closed it, and then the socket of
a connection that waits for nothing has something to read.
"""

from __future__ import annotations

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from ri_platform.postgresql import sessions


class DatabaseWrapper(base.DatabaseWrapper):
    def init_connection_state(self) -> None:
        super().init_connection_state()
        sessions.limit(self.connection)

    def is_usable(self) -> bool:
        """Whether the connection is open and rests. A notice that nobody read yet counts as lost, too."""
        kept = self.connection
        if kept is None or kept.closed or kept.info.transaction_status != TransactionStatus.IDLE:
            return False
        watch = select.poll()
        watch.register(kept.fileno(), select.POLLIN)
        return not watch.poll(0)
