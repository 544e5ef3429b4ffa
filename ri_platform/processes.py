"""The processes of an instance, as commands for `make run`, the tests and the container image.

`python -m ri_platform.processes NAME`, or `ri-platform NAME` where the wheel is installed, becomes that
process; any other name is a command of `manage.py`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ri_platform.paths import HOME

BUILDS = "builds"
WORKERS = ("registry", BUILDS, "sources", "webhooks")
# The AWS identities of workers; the others have none.
IDENTITIES = {"registry": "registry-server", BUILDS: "build-jobs", "sources": "build-jobs"}
SCHEDULER, WEB = "scheduler", "web"
THREADS = 8


def web(port: int, host: str = "127.0.0.1") -> list[str]:
    """The console and the API: several processes by cores, or by `RI_WEB_WORKERS`, behind one port."""
    return [sys.executable, "-m", "ri_platform.web", str(port), host]


def worker(queue: str, name: str = "") -> list[str]:
    """A worker of one queue with one task at a time; builds start processes of their own.

    `name` tells it from others of its queue on this machine.
    """
    return [
        sys.executable, "-m", "celery", "-A", "ri_platform", "--quiet", "worker", "-Q", queue,
        "-n", f"{name or queue}@%h", "--pool", "solo", "--without-mingle", "--without-gossip",
    ]  # fmt: skip


def scheduler(state: Path) -> list[str]:
    """The scheduler. One suffices; a second would only send duplicate messages."""
    return [
        sys.executable, "-m", "celery", "-A", "ri_platform", "--quiet", "beat",
        "--schedule", str(state / "beat"), "--pidfile", "",
    ]  # fmt: skip


def command(name: str, *arguments: str) -> list[str]:
    """The command of a process as its own environment describes it."""
    if name == WEB:
        return web(int(os.environ.get("PORT") or 8000), os.environ.get("RI_WEB_HOST", "127.0.0.1"))
    if name in WORKERS:
        return worker(name)
    if name == SCHEDULER:
        return scheduler(HOME / (os.environ.get("RI_STATE_DIR") or ".local"))
    return [sys.executable, "-m", "ri_platform.command_line", name, *arguments]


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(
            f"Name a process: {', '.join((WEB, *WORKERS, SCHEDULER))}, or a manage.py command."
        )
    found = command(sys.argv[1], *sys.argv[2:])
    os.chdir(HOME)
    os.execv(found[0], found)  # noqa: S606  (an argument list, no shell)


if __name__ == "__main__":
    main()
