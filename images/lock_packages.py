"""The packages that a lock names (PEP 751), read once: a lock may have megabytes."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from typing import Any

# A build reads its own lock many times, and a page two of them.
KEPT = 4


@lru_cache(maxsize=KEPT)
def packages_of(lock: str) -> Any:
    """The `packages` of a lock, as whoever wrote it has them; callers share the value and only read it.

    An empty text has none. Raises as `tomllib.loads`.
    """
    return tomllib.loads(lock).get("packages", []) if lock else []
