"""The waits between the attempts of one call to a registry."""

from __future__ import annotations

import random
from collections.abc import Callable

BACKOFF_SECONDS = 0.5
MAX_WAIT_SECONDS = 30.0
# In a wait, the caller's check is asked so often.
SLICE_SECONDS = 1.0


def backoff(attempt: int) -> float:
    """Exponential with full jitter, seconds."""
    return random.uniform(0, BACKOFF_SECONDS * 2**attempt)  # noqa: S311  (not a secret)


def wait(seconds: float, check: Callable[[], None] | None, sleep: Callable[[float], None]) -> None:
    """Sleep; with a `check`, in slices between which it is asked, and may raise."""
    longest = seconds if check is None else SLICE_SECONDS
    while seconds > 0:
        if check is not None:
            check()
        sleep(min(seconds, longest))
        seconds -= longest
