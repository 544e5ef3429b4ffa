"""The start of the web process: `python -m ri_platform.web PORT [HOST]`.

It becomes granian with several workers, one a core, and prepares a folder in which they count together:
`prometheus_client` keeps each worker's metrics in a file there, and any of them answers with the sum.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ri_platform.paths import HOME

WORKERS = "RI_WEB_WORKERS"
# More have more connections to the database, eight each; PostgreSQL takes a hundred unless told otherwise.
MOST_BY_CORES = 4
# Read by `prometheus_client` when it is imported.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
LOCK = "lock"
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def main() -> None:
    port, host = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    try:
        workers = workers_wanted(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    state = HOME / (os.environ.get("RI_STATE_DIR") or ".local")
    environment = {**os.environ, WORKERS: str(workers), FOLDER: str(counting_folder(state))}
    found = granian(port, host, workers)
    os.execve(found[0], found, environment)  # noqa: S606  (an argument list, no shell)


def granian(port: str, host: str, workers: int) -> list[str]:
    """The ASGI application under granian.

    Headers must arrive within ten seconds; `ri_platform.request_bodies` limits bodies. Requests that
    are not complete yet count against the backpressure, so its limit is very high. A worker that dies is
    replaced; one that dies again at once ends the process, as whoever started it has to know.
    """
    return [
        sys.executable, "-m", "granian", "--interface", "asgi", "--host", host, "--port", port,
        "--workers", str(workers), "--respawn-failed-workers", "--respawn-interval", "0.1",
        "--http", "1", "--no-ws", "--http1-header-read-timeout", "10000", "--workers-kill-timeout", "15",
        "--backlog", "4096", "--backpressure", "16384",
        "--log-level", "warning", "ri_platform.asgi:application",
    ]  # fmt: skip


def workers_wanted(environment: Mapping[str, str]) -> int:
    """How many are asked for, else one a core. Raises `ValueError` with a sentence for what is no number."""
    text = environment.get(WORKERS, "").strip()
    if not text:
        return min(cores(), MOST_BY_CORES)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{WORKERS} must be a number from 1.")
    return int(text)


def cores(limit: Path = CPU_LIMIT) -> int:
    """The cores that this process may use: of the machine, or of its container if that is limited."""
    found = len(os.sched_getaffinity(0))
    try:
        quota, _, period = limit.read_text().partition(" ")
    except OSError:
        return found
    if not quota.isdecimal():
        return found
    return max(1, min(found, round(int(quota) / int(period))))


def counting_folder(state: Path) -> Path:
    """A new folder for the metrics of this start. Those of starts that have ended are removed.

    Whoever uses a folder holds its lock, which ends with the process, however that ends. Process ids would
    not tell: in containers all are alike.
    """
    above = state / "metrics"
    above.mkdir(parents=True, exist_ok=True)
    for other in above.iterdir():
        if lock(other) is not None:
            shutil.rmtree(other, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="web-", dir=above))
    held = lock(folder, create=True)
    assert held is not None
    # granian is this process, and keeps it.
    os.set_inheritable(held, True)
    return folder


def lock(folder: Path, *, create: bool = False) -> int | None:
    """The open file of the folder's lock; None if another process holds it, or there is none yet."""
    try:
        opened = os.open(folder / LOCK, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


if __name__ == "__main__":
    main()
