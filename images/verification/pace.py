"""A pace for requests, so that a look at everything leaves the registry to those who build and pull."""

from __future__ import annotations

import threading
import time


class Pace:
    """At most so many requests a second, counted over all threads; 0 is without a limit."""

    def __init__(self, per_second: float) -> None:
        self.gap = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self.requests = 0

    def wait(self) -> None:
        """Wait until it is this request's time."""
        with self._lock:
            self.requests += 1
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self.gap
        if mine > now:
            time.sleep(mine - now)
