"""Commands for the builds of an image and their files: log, lock, SBOM, provenance."""

from __future__ import annotations

import json
import time

import click
from rich.text import Text

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.options import build_option, image_name
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.methods.builds import BUILDS_PAGE, latest_number
from ri_platform_sdk.methods.sender import POLL_SECONDS
from ri_platform_sdk.models import Build

NO_BUILD = "there is no such image or build"


@click.command(cls=Command)
@image_name
@pass_session
def builds(session: Session, name: str) -> None:
    """List an image's builds, newest first.

    The current one has a star.
    """
    current = session.client.get_managed_image(name).current_build
    body, found = session.ask_all("builds", lambda token: calls.builds(name, token, BUILDS_PAGE))
    session.answer(body, lambda: show_builds(found, current))


def show_builds(found: list[Build], current: int | None) -> None:
    rows: list[list[str | Text]] = [
        [
            "*" if build.number == current else "",
            str(build.number),
            output.coloured_status(build.state),
            build.reason,
            output.format_moment(build.created_at),
            output.took(build.started_at, build.finished_at),
            output.megabytes(build.size_bytes) if build.digest else "-",
            build.error_message or build.digest,
        ]
        for build in found
    ]
    headings = ["", "Build", "State", "Why", "Asked", "Took", "Size", "Digest or error"]
    output.print_table(headings, rows, right="Build,Took,Size")


@click.command(cls=Command, no=NO_BUILD)
@image_name
@click.option("-f", "--follow", is_flag=True, help="Go on while the build runs.")
@click.option("--build", type=click.IntRange(min=1), help="A build's number; else the newest.")
@pass_session
def log(session: Session, name: str, follow: bool, build: int | None) -> None:
    """Print a build's log.

    With --json, each answer of the REST API is a line.
    """
    number = build if build else latest_number(session.client.get_managed_image(name))
    offset = 0
    while True:
        body, piece = session.ask(calls.log(name, number, offset))
        if session.as_json:
            click.echo(json.dumps(body, ensure_ascii=False))
        else:
            click.echo(output.printable(piece.text), nl=False)
        if piece.done or not follow:
            return
        offset = piece.offset
        time.sleep(POLL_SECONDS)


@click.command(cls=Command, no=NO_BUILD)
@image_name
@build_option
@pass_session
def lock(session: Session, name: str, build: int | None) -> None:
    """Print an image's lock, a pylock.toml (PEP 751)."""
    text = session.client.get_lock(name, build)
    session.answer({"lock": text}, lambda: click.echo(text, nl=False))


@click.command(cls=Command, no=NO_BUILD)
@image_name
@build_option
@pass_session
def sbom(session: Session, name: str, build: int | None) -> None:
    """Print what is in an image, as CycloneDX 1.6.

    It is JSON, with and without --json.
    """
    output.print_json(session.client.get_sbom(name, build))


@click.command(cls=Command, no=NO_BUILD)
@image_name
@build_option
@pass_session
def provenance(session: Session, name: str, build: int | None) -> None:
    """Print how an image came to be, as SLSA v1.

    It is an in-toto statement, which is JSON, with and without --json.
    """
    output.print_json(session.client.get_provenance(name, build))
