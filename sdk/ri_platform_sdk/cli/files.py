"""The command that reads requirement files without a build."""

from __future__ import annotations

import click
from rich.text import Text

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.given import GivenArguments, incomplete_lock_message
from ri_platform_sdk.cli.options import with_given
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.readings import FileLine, Reading, ReadRequirement


@click.command(cls=Command, no="something cannot be taken")
@with_given
@pass_session
def check(session: Session, given: GivenArguments) -> None:
    """Show what is read of files, before anything is built.

    For each library and each line: whether it is taken, left out or refused, and why. Nothing is kept.
    """
    files = given.as_files(given.libraries)
    if not files:
        raise click.UsageError("Name libraries or a file, such as -r pyproject.toml.")
    call = calls.read_requirements(files, given.python_version, given.groups, given.extras)
    body, reading = session.ask(call)
    session.answer(body, lambda: show_reading(reading))
    if given.lock and not reading.locked and not reading.refused:
        output.note(incomplete_lock_message(given.lock))
        click.get_current_context().exit(1)
    if reading.refused:
        click.get_current_context().exit(1)


def show_reading(reading: Reading) -> None:
    rows = [
        *(row_of_requirement(found, "taken", "green") for found in reading.requirements),
        *(row_of_requirement(found, "constraint", "cyan") for found in reading.constraints),
        *(row_of_line(line, "left out", "yellow") for line in reading.left_out),
        *(row_of_line(line, "refused", "red") for line in reading.refused),
    ]
    if rows:
        output.print_table(["Outcome", "Where", "What", "Why"], rows)
    else:
        output.note("The files ask for no library.")
    if reading.refused_more:
        click.echo(f"{reading.refused_more} more lines are refused.")
    facts = [
        ("Python", reading.python_version),
        ("Locked by", reading.locked),
        ("Groups", ", ".join(reading.groups)),
        ("Extras", ", ".join(reading.extras)),
        ("Indexes", ", ".join(reading.indexes)),
        ("Pre-releases", "allowed" if reading.allow_prereleases else ""),
        *(("Hint", hint) for hint in reading.hints),
    ]
    told: list[tuple[str, str | Text]] = [(label, value) for label, value in facts if value]
    if told:
        click.echo()
        output.print_facts([(label, output.safe(value)) for label, value in told])


def row_of_requirement(found: ReadRequirement, outcome: str, style: str) -> list[str | Text]:
    index = f"from the index {found.index}" if found.index else ""
    return [Text(outcome, style), place(found.file, found.line), str(found), index]


def row_of_line(line: FileLine, outcome: str, style: str) -> list[str | Text]:
    return [Text(outcome, style), place(line.file, line.line), line.text, line.reason]


def place(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file
