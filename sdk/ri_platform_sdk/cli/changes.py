"""Commands that change an existing image: alter, rebuild, cancel, rollback."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import Any

import click

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.comparing import print_changes
from ri_platform_sdk.cli.images import confirm, finish, show_image
from ri_platform_sdk.cli.options import (
    image_name,
    index_option,
    no_wait_option,
    with_spec,
    yes_option,
)
from ri_platform_sdk.cli.run_time import with_run_time
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.models import (
    Alteration,
)
from ri_platform_sdk.running import RunTime
from ri_platform_sdk.specs import Spec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@click.command(cls=Command, no="no image has this name, it cannot be resolved, or the build fails")
@image_name
@with_spec
@click.option(
    "--add",
    "added",
    multiple=True,
    metavar="LIBRARY",
    help="Also this library, or another version of it; may be repeated.",
)
@click.option(
    "--drop",
    "dropped",
    multiple=True,
    metavar="LIBRARY",
    help="Without this library; may be repeated.",
)
@index_option
@with_run_time
@click.option(
    "--allow-source/--no-source",
    default=None,
    help="Whether to build from source what has no wheel.",
)
@click.option("--pre/--no-pre", "pre", default=None, help="Whether pre-releases count as releases.")
@click.option("--preview", is_flag=True, help="Show what would change, and end.")
@yes_option
@no_wait_option
@pass_session
def alter(
    session: Session, name: str, spec: Spec, added: tuple[str, ...], dropped: tuple[str, ...],
    indexes: tuple[str, ...], run_time: RunTime | None, allow_source: bool | None, pre: bool | None,
    preview: bool, yes: bool, no_wait: bool,
) -> None:  # fmt: skip
    """Show what an alteration would change, then build it.

    LIBRARIES, or those of a file, take the place of all that the image was asked for; --add and --drop change
    single ones. What is not named stays; a run-time setting ends with an empty value. Where nobody can be
    asked, nothing is built without --yes.
    """
    wanted = replace(
        spec,
        allow_source=allow_source,
        indexes=indexes or None,
        allow_prereleases=pre,
        run_time=run_time,
    )
    if added or dropped:
        wanted = change_libraries(session, name, wanted, added, dropped)
    body, alteration = session.ask(calls.preview(name, wanted))
    with output.show_waiting(f"Resolving what {name} would have"):
        alteration = session.client.wait_for_alteration(name, alteration.id)
    body = session.ask(calls.alteration(name, alteration.id))[0]
    if not session.as_json:
        show_alteration(alteration)
    may_ask = sys.stdin.isatty() and not session.as_json
    if preview or not (yes or may_ask):
        end_with_preview(session, body, preview)
        return
    if not yes:
        confirm(f"Build {name} anew with this?")
    body, image = session.ask(calls.build_alteration(name, alteration.id))
    finish(session, body, image, no_wait)


def end_with_preview(session: Session, body: Any, wanted: bool) -> None:
    if session.as_json:
        output.print_json(body)
    if not wanted:
        output.note("Nothing was built. Add --yes to build this.")


def change_libraries(
    session: Session, name: str, spec: Spec, added: tuple[str, ...], dropped: tuple[str, ...]
) -> Spec:
    """The image's present requirements with single libraries changed. Raises `InvalidRequest`."""
    if spec.requirements is not None or spec.files is not None:
        raise InvalidRequest("Name all libraries, or single ones with --add and --drop, not both.")
    image = session.ask(calls.get(name))[0]["image"]
    # With the index and the hashes of each.
    present: dict[str, Any] = {
        normalize_name(item["name"]): item for item in image["pipRequirements"]
    }
    for item in dropped:
        if present.pop(normalize_name(item), None) is None:
            raise InvalidRequest(
                f"{name} was not asked for {item}, so it cannot be dropped.", field="drop"
            )
    present |= {normalize_name(item): item for item in added}
    return replace(spec, requirements=list(present.values()))


def normalize_name(requirement: str) -> str:
    """The library's name as PEP 503 compares it."""
    found = _NAME.match(requirement.strip())
    return re.sub(r"[-_.]+", "-", found.group() if found else requirement).lower()


def show_alteration(alteration: Alteration) -> None:
    output.print_facts(
        [
            ("Image", alteration.image_name),
            ("Base", f"{alteration.base_image}, Python {alteration.python_version}"),
            ("Asked for", ", ".join((*alteration.requirements, *alteration.package_requirements))),
            *alteration.run_time.by_title.items(),
        ]
    )
    if alteration.changes is not None:
        click.echo()
        print_changes(alteration.changes, "libraries")
        click.echo()


@click.command(cls=Command, no="no image has this name, or the build fails")
@image_name
@no_wait_option
@pass_session
def rebuild(session: Session, name: str, no_wait: bool) -> None:
    """Build an image anew, for newer versions.

    It is resolved again from what it was asked for; the present revision stays usable meanwhile.
    """
    body, image = session.ask(calls.verb(name, "rebuild"))
    finish(session, body, image, no_wait)


@click.command(cls=Command)
@image_name
@click.argument("text")
@pass_session
def describe(session: Session, name: str, text: str) -> None:
    """Set the description of an image; nothing is built."""
    body, image = session.ask(calls.describe(name, text))
    session.answer(body, lambda: show_image(image))


@click.command(cls=Command, no="there is no such image or build")
@image_name
@click.argument("channel")
@click.argument("build", type=click.IntRange(min=1))
@pass_session
def channel(session: Session, name: str, channel: str, build: int) -> None:
    """Point a channel, such as stable, at a build.

    CHANNEL is stable, candidate or production, or begins with channel-. It is a tag in the registry.
    """
    body, image = session.ask(calls.set_channel(name, channel, build))
    session.answer(body, lambda: show_image(image))


@click.command(cls=Command)
@image_name
@pass_session
def cancel(session: Session, name: str) -> None:
    """Stop the build that is under way.

    The image falls back to its current build, if it has one.
    """
    body, image = session.ask(calls.verb(name, "cancel"))
    session.answer(body, lambda: show_image(image))


@click.command(cls=Command, no="there is no such image or build, or the build fails")
@image_name
@click.argument("build", type=click.IntRange(min=1))
@no_wait_option
@pass_session
def rollback(session: Session, name: str, build: int, no_wait: bool) -> None:
    """Make an earlier build current again.

    BUILD is its number, as `ri-images builds NAME` lists them. It takes about a second.
    """
    body, image = session.ask(calls.roll_back(name, build))
    finish(session, body, image, no_wait)
