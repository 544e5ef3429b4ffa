"""The public client as its users run it: unmodified, in a process and an environment of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests import environments

LOCKS = sorted((environments.ROOT / "requirements" / "clients").glob("rime-sdk-*.lock"))


class Raised(Exception):
    """What the client raised, as `ValueError: Forbidden …`."""


class PublicClient:
    """A Python with the client of one lock; what is run in it stays, as at a prompt."""

    def __init__(self, lock: Path) -> None:
        script = Path(__file__).with_name("session.py")
        self._process = subprocess.Popen(
            [environments.interpreter(lock), "-I", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # What the last run printed.
        self.printed = ""

    def run(self, code: str, **names: object) -> Any:
        """The value of the code's last expression, as JSON has it. Raises `Raised`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"code": code, "names": names}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the client's process ended"
        answer = json.loads(line)
        self.printed = answer["printed"]
        if "raised" in answer:
            raise Raised(answer["raised"])
        return answer["value"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
