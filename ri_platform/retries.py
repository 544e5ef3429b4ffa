"""How often, and after how long, something is tried again that may heal by itself.

Three policies of stamina, whose waits grow and have a random part. Webhooks have none of these: what
waits there is a row, and outlives the process. boto3 and uv repeat their own requests themselves.
"""

from __future__ import annotations

import logging

import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

logger = logging.getLogger(__name__)

# In seconds. A wait cannot be interrupted, so what is to stop does so after at most this long.
LONGEST_WAIT = 2.0

# A file of a package index, from its beginning: four attempts, none begun after five minutes.
DOWNLOAD = stamina.RetryingCaller(
    attempts=4, timeout=300.0, wait_initial=0.5, wait_max=LONGEST_WAIT
)
# A blob to or from a registry, from its beginning: a large one alone may take many minutes.
TRANSFER = stamina.RetryingCaller(attempts=3, timeout=None, wait_initial=0.5, wait_max=LONGEST_WAIT)
# What AWS may not know everywhere yet, some seconds after it was created.
SETTLE = stamina.RetryingCaller(
    attempts=5, timeout=None, wait_initial=0.2, wait_max=LONGEST_WAIT, wait_jitter=0.2
)


def log_retry(details: RetryDetails) -> None:
    """One line for each attempt that is made again, in place of stamina's own with arguments in it."""
    logger.info(
        "Attempt %s failed and is repeated in %.1f s: %s",
        details.retry_num,
        details.wait_for,
        str(details.caused_by) or type(details.caused_by).__name__,
    )


set_on_retry_hooks([log_retry])
