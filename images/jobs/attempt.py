"""The time of one attempt of a worker's work, whatever the work is."""

from __future__ import annotations

import time

from django.conf import settings

from images.errors import BuildTimedOut
from images.models.lease import HandOver
from ri_platform.stopping import this_worker


class Attempt:
    """One attempt: it ends when this worker must stop, and after `RI_BUILD_SECONDS`."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def check(self) -> None:
        """Raise `HandOver` if another worker is to go on, and `BuildTimedOut` once it takes too long."""
        if this_worker.must_hand_over:
            raise HandOver
        if time.monotonic() - self._begun > settings.BUILD_SECONDS:
            raise BuildTimedOut(
                f"The work did not end within {settings.BUILD_SECONDS} seconds.",
                hint="The log tells how far it came. An operator can change RI_BUILD_SECONDS.",
            )
