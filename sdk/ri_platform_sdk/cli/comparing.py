"""The command that compares two revisions, and the output of differences."""

from __future__ import annotations

import click
from rich.text import Text

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.completion import complete_images
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.models import Changes, Comparison, Revision


@click.command(cls=Command, no="there is no such image or build")
@click.argument("left", shell_complete=complete_images)
@click.argument("right", shell_complete=complete_images)
@pass_session
def compare(session: Session, left: str, right: str) -> None:
    """Show what differs between two images.

    Each is the name of an image, for its current build, or NAME@BUILD with the number of another.
    """
    body, found = session.ask(calls.compare(left, right))
    session.answer(body, lambda: show_comparison(found))


def show_comparison(found: Comparison) -> None:
    rows: list[list[str | Text]] = [
        ["Base", found.left.base_image, found.right.base_image],
        ["Python", found.left.python_version, found.right.python_version],
        ["Size", output.megabytes(found.left.size_bytes), output.megabytes(found.right.size_bytes)],
    ]
    output.print_table(["", title(found.left), title(found.right)], rows)
    click.echo()
    print_changes(found.libraries, "libraries")
    if found.os_packages.same or differs(found.os_packages):
        click.echo()
        print_changes(found.os_packages, "OS packages")


def title(revision: Revision) -> str:
    return f"{revision.image_name}@{revision.build}"


def differs(changes: Changes) -> bool:
    return bool(changes.added or changes.removed or changes.changed)


def print_changes(changes: Changes, what: str) -> None:
    """A line for each that differs, with a sign that tells how where there are no colours."""
    if not differs(changes):
        click.echo(f"No {what} change; {changes.same} stay as they are.")
        return
    rows: list[list[str | Text]] = []
    rows += [[Text("+", "green"), item.name, item.after] for item in changes.added]
    rows += [[Text("-", "red"), item.name, item.before] for item in changes.removed]
    for item in changes.changed:
        rows.append([Text("~", "yellow"), item.name, f"{item.before} → {item.after}"])
    output.print_table(["", what.capitalize() if what != "OS packages" else what, ""], rows)
    click.echo(f"{changes.same} {what} stay as they are.")
