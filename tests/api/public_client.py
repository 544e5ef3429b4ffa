"""The public clients as their users run them: unmodified, in a process and an environment of their own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests import environments

CLIENTS = list(environments.client_pins())
NEWEST = [client for client in CLIENTS if client.startswith("rime-sdk")][-1]


class Raised(Exception):
    """What the client raised, as `ValueError: Forbidden …`."""


class PublicClient:
    """A Python with one client, such as `rime-sdk 2.13.2`; what is run in it stays, as at a prompt."""

    def __init__(self, client: str) -> None:
        script = Path(__file__).with_name("session.py")
        self._process = subprocess.Popen(
            [environments.interpreter(), "-I", script, environments.unpacked(client)],
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
        self._process.wait(timeout=60)
