"""A sandbox, programs that try to get past its limits, and a look at what of them runs."""

from __future__ import annotations

import json
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from images.building.commands import Deadline
from images.building.containers.sandbox import USERS, Budget, Results, Sandbox
from tests.needs import SYSTEM_PYTHON, needs

PYTHON = SYSTEM_PYTHON
MB = 1_000_000
# For a module whose tests need a machine that can confine.
CONFINED = [
    pytest.mark.slow,
    pytest.mark.usefixtures("one_at_a_time"),
    needs("confinement", "system python"),
]
BUDGET = Budget(memory=512 * MB, disk=16 * MB, processes=40, cpus=1, output=MB)


class Trying:
    """A sandbox upon this machine's own root, which is read-only in there like any other."""

    def __init__(self, budget: Budget = BUDGET, seconds: float = 120) -> None:
        self.said: list[str] = []
        self.box = Sandbox([Path("/")], Deadline(seconds), self.said.append, lambda: None, budget)

    def results(self, code: str, **more: Any) -> Results:
        program = "import os, sys, errno, ctypes, time\n" + textwrap.dedent(code)
        return self.box.run([PYTHON, "-I", "-c", program], environment={}, **more)

    def tell(self, code: str, **more: Any) -> Any:
        """What the code, which is to `tell` one value, told."""
        self.results("import json\ntell = lambda v: print(json.dumps(v))\n" + code, **more).close()
        return json.loads(self.said[-1])


def processes_of_sandboxes() -> list[int]:
    """Those of this machine that run as a user of sandboxes."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid in USERS:
                found.append(int(path.name))
        except FileNotFoundError:
            continue
    return found


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_until(holds: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "It did not come about."
        time.sleep(0.05)
