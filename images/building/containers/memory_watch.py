"""A sandbox's memory where no control group limits it: looked at once a second, of all processes together.

What each process may have, the kernel limits (RLIMIT_AS); what is written, the file system's size.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from images.building.containers import cgroups
from images.errors import SourceBuildFailed

SECONDS = 1.0
_USER = re.compile(r"^Uid:\s+(\d+)", re.MULTILINE)
_RESIDENT = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)


def memory_check(check: Callable[[], None], user: int, limit: int) -> Callable[[], None]:
    """`check`, that also raises `SourceBuildFailed` once the user's processes have more than `limit` bytes.

    As it is, where a control group looks after that.
    """
    if cgroups.has("memory"):
        return check
    looked_at = time.monotonic()

    def check_both() -> None:
        nonlocal looked_at
        check()
        if time.monotonic() - looked_at >= SECONDS:
            looked_at = time.monotonic()
            if resident(user) > limit:
                raise SourceBuildFailed(words(limit), hint="Choose a version that has a wheel.")

    return check_both


def words(limit: int) -> str:
    return (
        f"It needed more memory than the {limit / 1e6:,.0f} MB that a build may have "
        "(RI_SOURCE_BUILD_MEMORY_MB)."
    )


def resident(user: int) -> int:
    """Bytes of memory of their own that the processes of a user have (proc_pid_status(5))."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        # The file's owner tells nothing: a process can hide who it is there (PR_SET_DUMPABLE).
        owner, held = _USER.search(text), _RESIDENT.search(text)
        if owner and held and int(owner[1]) == user:
            total += int(held[1]) << 10
    return total
