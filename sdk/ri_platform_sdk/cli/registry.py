"""Commands for the contents of the registry: what it lacks, and what no record knows."""

from __future__ import annotations

import click
from rich.text import Text

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.images import PAGE_SIZE, confirm
from ri_platform_sdk.cli.options import yes_option
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.registry import Drift, UnknownRepository

NO_SUCH = "no unknown repository has this name"
STYLES = {"healing": "yellow", "waiting": "yellow", "not_healed": "red", "lost": "red"}
STATES = {
    "healing": "being pushed again",
    "waiting": "waits for its next attempt",
    "not_healed": "not repaired",
    "lost": "lost",
}


@click.command(cls=Command, no="")
@pass_session
def drifts(session: Session) -> None:
    """List what the registry lacks of images.

    For administrators. Most of it is pushed again by itself, with the same digest.
    """
    body, found = session.ask_all("drifts", lambda token: calls.drifts(token, PAGE_SIZE))
    session.answer(body, lambda: show_drifts(found))


def show_drifts(found: list[Drift]) -> None:
    if not found:
        output.note("The registry holds every image as it was built, as far as the last look went.")
        return
    rows: list[list[str | Text]] = [
        [
            drift.name,
            str(drift.build or "-"),
            state_of(drift),
            output.format_moment(drift.found_at),
            " ".join(filter(None, (*drift.findings, drift.error_message, drift.error_hint))),
        ]
        for drift in found
    ]
    output.print_table(["Image", "Build", "State", "Found", "What was found"], rows, right="Build")


def state_of(drift: Drift) -> Text:
    return Text(STATES.get(drift.state, drift.state), style=STYLES.get(drift.state, ""))


@click.group()
def repositories() -> None:
    """Repositories that no record knows."""


@repositories.command("list", cls=Command, no="")
@pass_session
def list_repositories(session: Session) -> None:
    """List repositories that no record knows.

    For administrators. They may be newer than a restored backup.
    """
    body, found = session.ask_all(
        "repositories", lambda token: calls.unknown_repositories(token, PAGE_SIZE)
    )
    session.answer(body, lambda: show_repositories(found))


def show_repositories(found: list[UnknownRepository]) -> None:
    if not found:
        output.note("The records know every repository, as far as the last look went.")
        return
    rows: list[list[str | Text]] = [
        [
            item.name,
            ", ".join(map(str, item.builds)) or "-",
            output.megabytes(item.size_bytes),
            output.format_moment(item.pushed_at),
            outlook_of(item),
        ]
        for item in found
    ]
    output.print_table(["Name", "Builds", "Size", "Pushed", "State"], rows, right="Size")


def outlook_of(item: UnknownRepository) -> str | Text:
    if item.decision:
        return {"adopt": "being adopted", "delete": "being deleted"}.get(item.decision, "")
    if item.error_message:
        return Text(f"{item.error_message} {item.error_hint}", style="red")
    return "its image is known" if item.known_image else "-"


@repositories.command(cls=Command, no=NO_SUCH)
@click.argument("name")
@pass_session
def adopt(session: Session, name: str) -> None:
    """Make the newest build in it an image.

    For administrators. A worker does it; the image then belongs to Organization Administrators.
    """
    body, _ = session.ask(calls.decide_unknown_repository(name, "adopt"))
    session.answer(body, lambda: click.echo(f"The repository {name} is being adopted."))


@repositories.command(cls=Command, no=NO_SUCH)
@click.argument("name")
@yes_option
@pass_session
def delete(session: Session, name: str, yes: bool) -> None:
    """Delete it with all images in it.

    For administrators.
    """
    if not yes:
        confirm(f"Delete the repository {name} with all images in it? This cannot be undone.")
    body, _ = session.ask(calls.decide_unknown_repository(name, "delete"))
    session.answer(body, lambda: click.echo(f"The repository {name} is being deleted."))
