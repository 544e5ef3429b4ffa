"""An instance as the SDK finds it, and `ri-images` as somebody runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from click.testing import CliRunner, Result
from ri_platform_sdk.cli import main

from workspaces.models import User

T = TypeVar("T")


def in_a_thread(function: Callable[[], T]) -> T:
    """Call it where no event loop runs: in this thread, the browser tests may have left theirs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@dataclass(frozen=True)
class Instance:
    domain: str
    token_for: Callable[[User], str]


@dataclass(frozen=True)
class Prompt:
    """`ri-images` as somebody runs it who has a home of their own, and what is in their environment."""

    environment: dict[str, str | None]

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> Result:
        return CliRunner().invoke(
            main, list(arguments), input=stdin, env={**self.environment, **variables}
        )

    def json(self, *arguments: str) -> Any:
        """What the command prints with `--json`. It has to succeed."""
        answer = self(*arguments, "--json")
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)
