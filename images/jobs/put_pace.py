"""Putting manifests no faster than the registry takes them, over all builds workers of the instance.

ECR takes ten manifests a second (PutImage) from an account. Builds that people wait for are counted, but do
not wait; what the platform does by itself waits until it is its turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection

# The longest nap: a worker notices so soon that it must stop.
NAP = 0.5
# Manifests that may go at once after a pause; ECR's bucket holds more.
BURST = 2
RESERVE = """
INSERT INTO images_putpace AS pace (id, free_at)
VALUES (1, clock_timestamp() + make_interval(secs => %(step)s))
ON CONFLICT (id) DO UPDATE
SET free_at = greatest(pace.free_at, clock_timestamp() - make_interval(secs => %(burst)s))
    + make_interval(secs => %(step)s)
RETURNING extract(epoch FROM free_at - clock_timestamp())
"""


def take(check: Callable[[], None], *, waits: bool) -> None:
    """Count one manifest, and wait for its turn if it is one that `waits`. `check` may raise meanwhile."""
    step = 1 / settings.UPGRADES_PER_SECOND
    with connection.cursor() as cursor:
        cursor.execute(RESERVE, {"step": step, "burst": step * BURST})
        (ahead,) = cursor.fetchone()
    turn = time.monotonic() + float(ahead) - step
    while waits and (left := turn - time.monotonic()) > 0:
        check()
        time.sleep(min(left, NAP))
