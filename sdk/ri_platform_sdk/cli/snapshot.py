"""The command that creates an image of the libraries that are installed on this machine."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.images import finish
from ri_platform_sdk.cli.options import index_option, no_wait_option, pre_option, with_base
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.environment import (
    Environment,
    Selection,
    read_environment,
    spec_of_environment,
)


@click.command(cls=Command, no="the build fails")
@click.argument("name")
@click.option(
    "--top-level", "selection", flag_value="top-level", default=True,
    help="What was asked for by name or is needed by nothing else; this is the default.",
)  # fmt: skip
@click.option("--freeze", "selection", flag_value="freeze", help="Everything, pinned.")
@click.option(
    "--interpreter", metavar="PATH", default="",
    help="The Python of another environment, such as .venv/bin/python.",
)  # fmt: skip
@click.option(
    "--without", multiple=True, metavar="LIBRARY", help="Not this library; may be repeated."
)
@click.option("--strict", is_flag=True, help="Refuse what comes from a source folder or a URL.")
@click.option("--python", "python_version", metavar="X.Y", help="Another Python version.")
@with_base
@index_option
@click.option("--allow-source", is_flag=True, help="Build from source what has no wheel.")
@pre_option
@click.option("--preview", is_flag=True, help="Show what would be taken, and end.")
@no_wait_option
@pass_session
def snapshot(
    session: Session, name: str, selection: Selection, interpreter: str, without: tuple[str, ...],
    strict: bool, preview: bool, python_version: str | None, packages: tuple[str, ...],
    image_type: str | None, indexes: tuple[str, ...], allow_source: bool, pre: bool,
    no_wait: bool,
) -> None:  # fmt: skip
    """Create an image of what is installed here.

    It takes the libraries and the Python version of the interpreter that runs this command. What comes from
    a source folder or a URL is left out, since no index has it; what is left out is shown before.
    """
    if not interpreter:
        note_another_environment()
    environment = read_environment(
        selection, interpreter=interpreter, without=without, strict=strict
    )
    if preview:
        session.answer(environment_json(environment), lambda: show_environment(environment))
        return
    for sentence in environment.omission_sentences():
        output.note(output.printable(sentence))
    spec = spec_of_environment(
        environment, python_version, packages, image_type, allow_source, indexes or None, pre
    )
    body, image = session.ask(calls.create(name, spec))
    finish(session, body, image, no_wait, {"environment": environment_json(environment)})


def note_another_environment() -> None:
    """Tell of an active environment that this command is not installed in, as with pipx or uv tool."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        active = os.environ.get(variable, "")
        if active and Path(active).resolve() != Path(sys.prefix).resolve():
            output.note(
                f"Note: this is the environment of ri-images itself; for the active one, add "
                f"--interpreter {Path(active, 'bin', 'python')}"
            )
            return


def environment_json(environment: Environment) -> dict[str, Any]:
    """The chosen and the omitted libraries, in the style of the REST API."""
    return {
        "pythonVersion": environment.python_version,
        "requirements": list(environment.requirements),
        "leftOut": [asdict(item) for item in environment.left_out],
        "others": list(environment.others),
    }


def show_environment(environment: Environment) -> None:
    rows: list[list[str | Text]] = []
    for pinned in environment.requirements:
        library, _, version = pinned.partition("==")
        rows.append([Text("taken", "green"), library, version, ""])
    for item in environment.left_out:
        rows.append([Text("left out", "yellow"), item.name, item.version, item.reason])
    output.print_table(["Outcome", "Library", "Version", "Why"], rows)
    click.echo()
    click.echo(f"Python {environment.python_version}; {len(environment.others)} other libraries.")
