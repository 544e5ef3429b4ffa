"""`make run` on a state folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ri_platform.local import services

ROOT = Path(__file__).resolve().parents[2]


def environment(state: Path, port: int) -> dict[str, str]:
    ours = ("RI_", "AWS_", "DATABASE_", "CELERY_", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "RI_STATE_DIR": str(state), "PORT": str(port)}


def start(state: Path, port: int, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ri_platform.local"],
        cwd=ROOT,
        env={**environment(state, port), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def without_a_way_to_a_base_image(folder: Path) -> dict[str, str]:
    """Variables with which neither Docker Hub nor what makes a Debian is in reach."""
    folder.mkdir()
    for path in filter(os.path.isdir, reversed(os.environ["PATH"].split(":"))):
        for tool in Path(path).iterdir():
            if tool.name != "mmdebstrap" and not tool.name.startswith("apt"):
                (folder / tool.name).unlink(missing_ok=True)
                (folder / tool.name).symlink_to(tool)
    return {"PATH": str(folder), "HTTPS_PROXY": f"http://127.0.0.1:{services.free_port()}"}


def said_until(process: subprocess.Popen[str], words: str) -> str:
    """What a process says, up to the line with these words."""
    assert process.stdout is not None
    said = ""
    while words not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def processes_of(state: Path, also: bytes = b"") -> list[str]:
    """Command lines of processes that have the state folder, and `also`, in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                theirs = (folder / "environ").read_bytes()
                if str(state).encode() in theirs and also in theirs:
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


def await_the_end_of_all(state: Path) -> None:
    """A base image being made is told to end, too, and needs a moment to unmount."""
    deadline = time.monotonic() + 15
    while left := processes_of(state):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@contextmanager
def state_folder() -> Iterator[Path]:
    """One to be made, whose end is awaited. Not below pytest's folder, which each run of pytest closes
    to PostgreSQL's own user.
    """
    above = Path(tempfile.mkdtemp(prefix="ri-state-"))
    try:
        yield above / "state"
        await_the_end_of_all(above / "state")
    finally:
        shutil.rmtree(above, ignore_errors=True)
