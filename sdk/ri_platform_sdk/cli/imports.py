"""The command `ri-images imports`: the result of importing an image's libraries."""

from __future__ import annotations

import time

import click
from rich.text import Text

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.options import image_name
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.methods.sender import POLL_SECONDS
from ri_platform_sdk.running import ImportCheck

COLOURS = {"PASSED": "green", "FAILED": "red", "PENDING": "cyan", "SKIPPED": "yellow"}
DEFAULT = "default"


@click.command(cls=Command, no="an import failed")
@image_name
@click.option("--again", is_flag=True, help="Have them tried again, and wait for the result.")
@click.option(
    "--policy",
    type=click.Choice(["warn", "refuse", "off", DEFAULT]),
    help="Set what becomes of imports that fail from the next build on.",
)
@pass_session
def imports(session: Session, name: str, again: bool, policy: str | None) -> None:
    """Show whether an image's libraries can be imported."""
    if policy is not None:
        session.ask(calls.set_import_policy(name, "" if policy == DEFAULT else policy))
    if again:
        session.ask(calls.verb(name, "checkImports"))
    body, image = session.ask(calls.get(name))
    while again and image.import_check and image.import_check.is_pending:
        time.sleep(POLL_SECONDS)
        body, image = session.ask(calls.get(name))
    session.answer(body["image"].get("importCheck"), lambda: show_check(image.import_check))
    if image.import_check and image.import_check.status == "FAILED":
        click.get_current_context().exit(1)


def summary(check: ImportCheck) -> Text:
    """A check in a line."""
    failed = sum(1 for item in check.failed if item.module)
    told = {
        "PENDING": "being tried",
        "SKIPPED": f"not tried: {check.message}",
    }.get(check.status, f"{check.tried - failed} of {check.tried} in {check.seconds or 0:.1f} s")
    return Text(output.printable(told), style=COLOURS.get(check.status, ""))


def show_check(check: ImportCheck | None) -> None:
    if check is None:
        output.note("The imports of this image were never tried; --again has them tried.")
        return
    output.print_facts([("Imports", summary(check))])
    for item in check.failed:
        click.echo()
        title = item.module or item.requirement or "All"
        brought = f" (of {item.requirement})" if item.module and item.requirement else ""
        click.echo(output.printable(f"{title}{brought}"))
        click.echo(output.printable(item.message))
        if item.hint:
            click.echo(output.printable(item.hint))
    for conflict in check.conflicts:
        click.echo(output.printable(conflict))
