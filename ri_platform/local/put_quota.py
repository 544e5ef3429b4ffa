"""ECR's quota of PutImage on the local registry, for trials of what keeps to it; off unless it is asked for.

Source: Amazon ECR service quotas, "Rate of PutImage requests": ten a second of an account and region. The
excess is answered with 429, as the registry does.
"""

from __future__ import annotations

import logging
import os
import time

from ministack.services import ecr

from ri_platform.local.registry_access import Answer, Headers, Query, error

# Requests a second; set for a trial in the environment of `make run`.
VARIABLE = "LOCAL_PUT_IMAGE_QUOTA"

log = logging.getLogger(__name__)


class Bucket:
    """Tokens that come back at `rate` a second, a second's worth at most."""

    def __init__(self, rate: float) -> None:
        self._rate = self._tokens = rate
        self._at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def keep_quota() -> None:
    """Wrap ministack's handler of the registry, if the environment names a quota."""
    if not os.environ.get(VARIABLE):
        return
    bucket, data_plane = Bucket(float(os.environ[VARIABLE])), ecr.handle_registry_request

    async def data(method: str, path: str, headers: Headers, body: bytes, query: Query) -> Answer:
        verb, *_ = ecr._parse_v2_path(path) or ("",)
        if (method, verb) == ("PUT", "manifest") and not bucket.take():
            log.warning("PutImage is beyond its quota: %s", path)
            return error(429, "TOOMANYREQUESTS", "Rate exceeded")
        answer: Answer = await data_plane(method, path, headers, body, query)
        return answer

    ecr.handle_registry_request = data
