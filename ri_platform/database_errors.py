"""Errors of PostgreSQL that readers are told of: it cancelled the statement, is away, or only recovers."""

from __future__ import annotations

import logging

import psycopg
from psycopg.errors import QueryCanceled

from ri_platform.errors import DatabaseAway, DomainError, QueryTimeout

logger = logging.getLogger(__name__)

# Of a process that was paused for long, and of a server that still recovers or is a standby.
FOR_A_WHILE = (
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)
# Classes of SQLSTATE in which the connection is lost: by an exception of the connection, and as an operator
# or a crash ends the server, or it is starting up. What psycopg itself notices has no SQLSTATE.
LOST = ("08", "57P")


def error_to_tell(asked: str, error: BaseException | None) -> DomainError | None:
    """What to tell of a cancelled statement, or of a database that is away, for the request `asked`; None
    for any other error.

    A library may have made another error of it, as Django's sessions do when one cannot be saved.
    """
    while error is not None:
        if isinstance(error, QueryCanceled):
            logger.warning("A statement of %s took too long.", asked)
            return QueryTimeout(
                "The database took too long, so the request was given up.",
                hint="Ask for less, as by a longer search, or try again later. "
                "If it happens again, tell an Organization Administrator.",
            )
        if is_lost(error):
            logger.warning("The database was away for %s: %s", asked, error)
            return DatabaseAway(
                "The database does not answer at this moment.",
                hint="Try again in a few seconds. After a change, look first whether it was made.",
                retry_after=5,
            )
        error = error.__cause__ or error.__context__
    return None


def is_lost(error: BaseException) -> bool:
    if isinstance(error, FOR_A_WHILE):
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(LOST)
