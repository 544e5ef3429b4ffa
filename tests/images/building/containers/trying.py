"""A sandbox, and programs that try to get past its limits."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from images.building.commands import Deadline
from images.building.containers.sandbox import (
    Budget,
    Results,
    Sandbox,
)

PYTHON = "/usr/bin/python3"
MB = 1_000_000
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
