"""A worker that was told to stop: its work may go on for a while, and is handed over then.

Celery ends a worker that got SIGTERM once its task has ended. A build may take longer than the orchestrator
waits before it kills, so a build that is not done within `RI_STOP_SECONDS` goes back into the queue.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery import signals
from django.conf import settings

log = logging.getLogger(__name__)


class Stop:
    """Whether this process was told to stop, and how long ago."""

    def __init__(self) -> None:
        self._told_at: float | None = None

    @property
    def is_told(self) -> bool:
        return self._told_at is not None

    @property
    def must_hand_over(self) -> bool:
        """Whether the time of its work is over."""
        told = self._told_at
        return told is not None and time.monotonic() - told >= settings.STOP_SECONDS

    def tell(self) -> None:
        self._told_at = self._told_at or time.monotonic()


this_worker = Stop()


@signals.worker_shutting_down.connect
def hear(sig: str, **signal: Any) -> None:
    """Note that the worker was told to stop; Celery sends this from its handler of the signal."""
    this_worker.tell()
    log.info(
        "This worker was told to stop (%s). Work that is not done within %s s is handed over.",
        sig,
        settings.STOP_SECONDS,
    )
