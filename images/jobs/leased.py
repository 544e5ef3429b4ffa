"""Running leased work: the lease is renewed in the background, and the end is recorded, whichever it is.

The worker asks `check` between steps (and the engine asks it inside long ones); it raises as soon as
the lease is lost, so a worker that was taken over stops instead of racing its successor. The same question
has a worker that was told to stop hand its work over.
"""

from __future__ import annotations

import contextvars
import errno
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy

from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    close_old_connections,
    connection,
)

from images.errors import DiskFull, WorkerDied
from images.jobs.attempt import Attempt
from images.models import Lease
from images.models.lease import HandOver, LeaseLost
from ri_platform.errors import DomainError
from ri_platform.locks import is_too_long
from ri_platform.metrics import LEASES_LOST

log = logging.getLogger(__name__)

# PostgreSQL restarted, or has ended the transaction of this process because it stood still (InternalError).
DATABASE_LOST = (OperationalError, InterfaceError, InternalError)


class Holder:
    """Renews one row's lease from a thread of its own until the work ends or is lost."""

    def __init__(self, work: Lease, seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._attempt = Attempt()
        self._stopped = threading.Event()
        self._lost = threading.Event()
        # What the work's log lines say of it, this thread's lines say, too.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._renew,), name="lease", daemon=True
        )

    def check(self) -> None:
        """Raise `LeaseLost` if this worker must stop, and what `Attempt.check` raises."""
        if self._lost.is_set():
            raise LeaseLost
        self._attempt.check()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _renew(self) -> None:
        # A third of the lease at most, and a second at most, so that a cancel is noticed soon.
        interval = min(1.0, self._seconds / 3)
        # The row object belongs to the worker's thread; this one works on its own copy.
        mine = copy(self._work)
        try:
            while not self._stopped.wait(interval):
                close_old_connections()
                try:
                    mine.renew(self._seconds)
                except LeaseLost:
                    # Also if the worker itself has just recorded the end, and then nobody asks any more.
                    self._lost.set()
                    return
                except DatabaseError as error:
                    # The lease may well outlive a short outage; if not, the next write says so.
                    log.warning("The lease of %s could not be renewed: %s", mine.pk, error)
        finally:
            connection.close()


@contextmanager
def hold_lease(work: Lease, seconds: float) -> Iterator[Holder]:
    holder = Holder(work, seconds)
    holder.start()
    try:
        yield holder
    finally:
        holder.stop()


def carry_out(
    work: Lease,
    seconds: float,
    run: Callable[[Holder], None],
    *,
    fail: Callable[[DomainError], None],
    broke: DomainError,
) -> bool:
    """Run claimed work under its lease; False if the lease was lost, so that nothing more may be written.

    `run` records success itself. `fail` records an error as the end of the work: the one that `run` raised,
    or `broke` in place of an exception that is a defect of ours, which goes to the log. A full disk is none.
    Work that has ended too many workers is not run: it fails with `WorkerDied`.
    """
    try:
        with hold_lease(work, seconds) as holder:
            try:
                refuse_deadly(work)
                run(holder)
            except DomainError as error:
                fail(error)
            except (LeaseLost, *DATABASE_LOST):
                raise
            except Exception as error:
                if is_disk_full(error):
                    log.warning("The %s %s ends: %s", work._meta.verbose_name, work, error)
                    fail(disk_full())
                else:
                    log.exception("The %s %s broke", work._meta.verbose_name, work)
                    fail(broke)
    except HandOver:
        log.info("The %s %s is handed over: this worker stops.", work._meta.verbose_name, work)
        give_back(work, counted=False)
        return False
    except LeaseLost:
        LEASES_LOST.labels(work._meta.model_name).inc()
        log.info("The %s %s was taken over or cancelled.", work._meta.verbose_name, work)
        return False
    except DATABASE_LOST as error:
        # PostgreSQL restarted, for example: no defect of the work, which another attempt may well end.
        connection.close()
        log.warning("The %s %s lost its database: %s", work._meta.verbose_name, work, error)
        # A lock that another process holds for long is not the work's doing.
        give_back(work, counted=not is_too_long(error))
        return False
    return True


def is_disk_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full() -> DiskFull:
    return DiskFull(
        "The disk of the worker is full.",
        hint="Ask an operator to make room in RI_CACHE_DIR, then try again.",
    )


def refuse_deadly(work: Lease) -> None:
    """Raise `WorkerDied` for work in which as many workers died as may."""
    if work.deaths >= settings.BUILD_MAX_ATTEMPTS:
        raise WorkerDied(
            f"The {work._meta.verbose_name}'s worker died {work.deaths} times.",
            hint="Ask an operator to look at the worker's log, then try again.",
        )


def give_back(work: Lease, *, counted: bool) -> None:
    """Have the work claimed anew at once. If the database is still away, its lease runs out instead."""
    try:
        work.hand_over(counted=counted)
    except (LeaseLost, *DATABASE_LOST) as error:
        log.info("The %s %s is left to its lease: %s", work._meta.verbose_name, work, error)
