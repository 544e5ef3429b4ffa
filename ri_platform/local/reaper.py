"""Kills what a supervisor that was killed has left: a process of its own, which starts as the first one.

The kernel tells a child of its parent's death by a signal (prctl(2), PR_SET_PDEATHSIG), and does so again for
each thread of the parent; a child can take its time for that, or wait for itself for ever in its handler.
So a few seconds later the reaper kills each session that is still there. It learns of the sessions and of the
death by a pipe whose other end the supervisor alone has. It needs the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence

# The supervisor gives them as long.
GRACE_SECONDS = 5.0
ENDED = 0


class Reaper:
    """The supervisor's end of the pipe. `held` are descriptors of locks that end with the last process."""

    def __init__(self, held: Sequence[int] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=held,
        )

    def note(self, name: str, session: int) -> None:
        """Tell the session of a child, in place of the one before; `ENDED` once it has none."""
        assert self._process.stdin is not None
        # Without a reaper there is still the kernel's signal.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(f"{name} {session}\n".encode())
            self._process.stdin.flush()

    def stop(self) -> None:
        """End it, once nothing is left that it would kill."""
        self._process.kill()
        self._process.communicate()


def sessions_left(lines: Iterable[str]) -> set[int]:
    """Read to the end of the pipe, which is the supervisor's end."""
    sessions: dict[str, int] = {}
    for line in lines:
        name, session = line.split()
        sessions[name] = int(session)
    return set(sessions.values()) - {ENDED}


def signal_group(session: int, number: int) -> bool:
    """Signal the first group of a session; whether anybody is in it."""
    try:
        os.killpg(session, number)
    except OSError:
        return False
    return True


def main() -> None:
    left = sessions_left(sys.stdin)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(signal_group(session, 0) for session in left):
        time.sleep(0.1)
    for session in left:
        signal_group(session, signal.SIGKILL)


if __name__ == "__main__":
    main()
