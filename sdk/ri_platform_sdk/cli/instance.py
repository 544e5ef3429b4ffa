"""Commands for the whole instance: base images, audit log."""

from __future__ import annotations

from datetime import datetime

import click
from rich.text import Text

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.models import AuditEvent


@click.command(cls=Command, no="")
@click.option("--all", "everything", is_flag=True, help="Also those that are not ready.")
@pass_session
def bases(session: Session, everything: bool) -> None:
    """List the base images."""
    body, found = session.ask(calls.base_images(everything))
    rows: list[list[str | Text]] = [
        [
            image.name,
            output.coloured_status(image.status),
            image.image_type,
            image.python_version,
            image.libc or "-",
            output.megabytes(image.size_bytes) if image.size_bytes else "-",
            output.format_moment(image.created_at),
        ]
        for image in found
    ]
    headings = ["Name", "Status", "Type", "Python", "C library", "Size", "Made"]
    session.answer(body, lambda: output.print_table(headings, rows, right="Size"))


DAY = click.DateTime(["%Y-%m-%d"])


@click.command(cls=Command, no="")
@click.option(
    "--event", default="", help="An event, or how it begins, such as image. for all of images."
)
@click.option("--user", default="", help="Who did it.")
@click.option("--object", "object_name", default="", help="To what it was done, by its name then.")
@click.option("--since", type=DAY, metavar="DATE", help="The first day in UTC, as 2026-11-01.")
@click.option("--until", type=DAY, metavar="DATE", help="The last day in UTC.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="At most so many, the newest.",
)
@click.option("--all", "everything", is_flag=True, help="All events, however many.")
@pass_session
def audit(
    session: Session, event: str, user: str, object_name: str, since: datetime | None,
    until: datetime | None, limit: int, everything: bool,
) -> None:  # fmt: skip
    """Show what was changed and by whom, newest first.

    For administrators.
    """
    filters = {
        "event": event,
        "userName": user,
        "objectName": object_name,
        "since": since.date() if since else None,
        "until": until.date() if until else None,
    }
    if everything:
        body, found = session.ask_all(
            "events", lambda token: calls.audit_events(filters, token, 1000)
        )
    else:
        body, page = session.ask(calls.audit_events(filters, "", limit))
        found = list(page.items)
    session.answer(body, lambda: show_events(found))


def show_events(found: list[AuditEvent]) -> None:
    rows: list[list[str | Text]] = [
        [
            output.format_moment(item.at),
            item.event,
            item.user_name or "the platform",
            item.token_name or "-",
            item.object_name,
            item.workspace_name or "-",
        ]
        for item in found
    ]
    output.print_table(["Time", "Event", "User", "Token", "Object", "Workspace"], rows)
