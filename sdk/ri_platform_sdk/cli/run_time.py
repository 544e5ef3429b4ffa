"""The options of run-time settings: environment variables, working folder, user, entry point, labels."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click

from ri_platform_sdk.cli.options import add_options
from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.running import RunTime

OPTIONS = [
    click.option("--env", "env", multiple=True, metavar="NAME=VALUE",
                 help="An environment variable, no secret; may be repeated."),
    click.option("--workdir", "working_dir", metavar="PATH", help="The working folder."),
    click.option("--user", metavar="USER", help="The user, as a name or a number, or USER:GROUP."),
    click.option("--entrypoint", metavar="COMMAND", help="The entry point, quoted as in a shell."),
    click.option("--label", "labels", multiple=True, metavar="NAME=VALUE",
                 help="A label; may be repeated."),
]  # fmt: skip


def with_run_time(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the run-time settings as one argument `run_time`, None if none is given.

    An empty value ends a setting, and `--env ''` all variables.
    """

    @wraps(command)
    def gather(
        *arguments: Any, env: Any, working_dir: Any, user: Any, entrypoint: Any, labels: Any,
        **rest: Any,
    ) -> Any:  # fmt: skip
        found = RunTime(
            env=pairs_of(env, "env") if env else None,
            working_dir=working_dir,
            user=user,
            entrypoint=None if entrypoint is None else words_of(entrypoint),
            labels=pairs_of(labels, "label") if labels else None,
        )
        return command(*arguments, run_time=None if found == RunTime() else found, **rest)

    return add_options(gather, OPTIONS)


def pairs_of(given: Iterable[str], option: str) -> dict[str, str]:
    """The values of `NAME=VALUE`. Raises `InvalidRequest`."""
    found = {}
    for item in filter(None, given):
        name, equals, value = item.partition("=")
        if not equals:
            raise InvalidRequest(f"--{option} {name} has no value; write {name}=VALUE.")
        found[name] = value
    return found


def words_of(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InvalidRequest("The entry point has a quotation mark that is not closed.") from error
