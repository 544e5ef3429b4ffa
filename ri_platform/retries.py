"""The retry policies of downloads and of the registry, with stamina: exponential waits with jitter.

Webhooks use none of these: their schedule is rows in the database. boto3 and uv retry on their own.
"""

from __future__ import annotations

import logging

import stamina
from django.conf import settings
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

logger = logging.getLogger(__name__)

# Seconds. A wait cannot be interrupted, so cancellation takes at most this long.
LONGEST_WAIT = 2.0

# A file of a package index, from its first byte; no attempt starts after twice the time that one may hang.
DOWNLOAD = stamina.RetryingCaller(
    attempts=4, timeout=2.0 * settings.CALL_SECONDS, wait_initial=0.5, wait_max=LONGEST_WAIT
)
# A blob to or from a registry, from its first byte. No time limit: a large blob takes many minutes.
TRANSFER = stamina.RetryingCaller(attempts=3, timeout=None, wait_initial=0.5, wait_max=LONGEST_WAIT)
# A repository that was created a moment ago, which some parts of AWS may not know yet.
SETTLE = stamina.RetryingCaller(
    attempts=5, timeout=None, wait_initial=0.2, wait_max=LONGEST_WAIT, wait_jitter=0.2
)


def log_retry(details: RetryDetails) -> None:
    """One line for each retry, in place of stamina's, which contains the arguments."""
    logger.info(
        "Attempt %s failed; the next starts in %.1f s: %s",
        details.retry_num,
        details.wait_for,
        str(details.caused_by) or type(details.caused_by).__name__,
    )


set_on_retry_hooks([log_retry])
