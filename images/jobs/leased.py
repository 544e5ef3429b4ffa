"""Running leased work: the lease is renewed in the background, and the end is recorded, whichever it is.

The worker asks `check` between steps (and the engine asks it inside long ones); it raises as soon as
the lease is lost, so a worker that was taken over stops instead of racing its successor.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy

from django.db import DatabaseError, close_old_connections, connection

from images.models import Lease
from images.models.lease import LeaseLost
from ri_platform.errors import DomainError
from ri_platform.metrics import LEASES_LOST

log = logging.getLogger(__name__)


class Holder:
    """Renews one row's lease from a thread of its own until the work ends or is lost."""

    def __init__(self, work: Lease, seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._stopped = threading.Event()
        self._lost = threading.Event()
        # What the work's log lines say of it, this thread's lines say, too.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._renew,), name="lease", daemon=True
        )

    def check(self) -> None:
        """Raise `LeaseLost` if this worker must stop."""
        if self._lost.is_set():
            raise LeaseLost

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
                    LEASES_LOST.labels(mine._meta.model_name).inc()
                    self._lost.set()
                    return
                except DatabaseError as error:
                    # The lease may well outlive a short outage; if not, the next write says so.
                    log.warning("The lease of %s could not be renewed: %s", mine.pk, error)
        finally:
            connection.close()


@contextmanager
def holding(work: Lease, seconds: float) -> Iterator[Holder]:
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
    or `broke` in place of an exception that is a defect of ours, which goes to the log.
    """
    try:
        with holding(work, seconds) as holder:
            try:
                run(holder)
            except DomainError as error:
                fail(error)
            except LeaseLost:
                raise
            except Exception:
                log.exception("The %s %s broke", work._meta.verbose_name, work)
                fail(broke)
    except LeaseLost:
        log.info("The %s %s was taken over or cancelled.", work._meta.verbose_name, work)
        return False
    return True
