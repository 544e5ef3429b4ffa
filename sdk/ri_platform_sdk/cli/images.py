"""Commands for images: create, find, show, remove, restore, compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import click
from rich.text import Text

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.imports import summary
from ri_platform_sdk.cli.options import (
    image_name,
    index_option,
    no_wait_option,
    pre_option,
    with_spec,
    yes_option,
)
from ri_platform_sdk.cli.run_time import with_run_time
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.errors import BuildFailed
from ri_platform_sdk.models import (
    Image,
    Match,
)
from ri_platform_sdk.registry import Drift
from ri_platform_sdk.running import RunTime
from ri_platform_sdk.specs import Spec

PAGE_SIZE = 200
STATUSES = ["BUILDING_FIRST_TIME", "REBUILDING", "READY", "FAILED", "OUTDATED"]


@click.command(cls=Command, no="the build fails")
@click.argument("name")
@with_spec
@index_option
@with_run_time
@click.option("--description", default="", metavar="TEXT", help="A sentence for people.")
@click.option("--allow-source", is_flag=True, help="Build from source what has no wheel.")
@pre_option
@click.option(
    "--import-policy",
    type=click.Choice(["warn", "refuse", "off"]),
    help="What becomes of libraries that cannot be imported; else as the instance has it.",
)
@no_wait_option
@pass_session
def create(
    session: Session, name: str, spec: Spec, indexes: tuple[str, ...], allow_source: bool,
    run_time: RunTime | None, description: str, pre: bool, import_policy: str | None, no_wait: bool,
) -> None:  # fmt: skip
    """Create an image and wait for it.

    LIBRARIES are requirements, such as numpy 'pandas>=2'. `ri-images check` shows what is read of files.
    """
    wanted = replace(
        spec,
        allow_source=allow_source,
        indexes=indexes or None,
        allow_prereleases=pre,
        run_time=run_time,
    )
    body, image = session.ask(calls.create(name, wanted, import_policy or "", description))
    finish(session, body, image, no_wait)


def finish(
    session: Session,
    body: Any,
    image: Image,
    no_wait: bool,
    also: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Wait for the build that was asked for, and show the image, also if its build failed.

    With `--json`, `also` is part of the answer.
    """
    if no_wait:
        session.answer({**body, **also}, lambda: show_image(image))
        return
    try:
        session.wait(image.name)
    except BuildFailed:
        if session.as_json:
            output.print_json({**session.ask(calls.get(image.name))[0], **also})
        raise
    body, image = session.ask(calls.get(image.name))
    session.answer({**body, **also}, lambda: show_image(image))


@click.command("list", cls=Command, no="")
@click.option("--with", "libraries", multiple=True, metavar="LIBRARY", help="Only images with it.")
@click.option(
    "--search",
    default="",
    metavar="TEXT",
    help="Only images whose name has it, or with a library whose name begins so.",
)
@click.option(
    "--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only of this status."
)
@click.option("--removed", is_flag=True, help="Images that were removed, for administrators.")
@pass_session
def list_images(
    session: Session, libraries: tuple[str, ...], search: str, status: str | None, removed: bool
) -> None:
    """List images by name."""
    if removed and (libraries or search or status):
        raise click.UsageError("--removed goes with no other filter.")
    if removed:
        list_removed(session)
        return
    body, images = session.ask_all(
        "images",
        lambda token: calls.page(libraries, token, PAGE_SIZE, search=search, status=status or ""),
    )
    session.answer(body, lambda: show_images(images))


def list_removed(session: Session) -> None:
    body, images = session.ask_all("images", lambda token: calls.removed_images(token, PAGE_SIZE))

    def show() -> None:
        if not images:
            output.note("No removed image can be restored.")
            return
        rows: list[list[str | Text]] = [
            [
                item.name,
                output.format_moment(item.removed_at),
                item.removed_by or "-",
                output.format_moment(item.deleted_at) if item.restorable else "being deleted",
            ]
            for item in images
        ]
        output.print_table(["Name", "Removed", "By", "Deleted for good"], rows)

    session.answer(body, show)


def show_images(images: list[Image]) -> None:
    if not images:
        output.note("There is no such image. `ri-images create NAME LIBRARY` makes one.")
        return
    rows: list[list[str | Text]] = [
        [
            image.name,
            output.coloured_status(image.status),
            image.image_type,
            image.python_version,
            str(len(image.libraries)) if image.current_build else "-",
            output.size(image),
            output.format_moment(image.updated_at),
        ]
        for image in images
    ]
    headings = ["Name", "Status", "Type", "Python", "Libraries", "Size", "Changed"]
    output.print_table(headings, rows, right="Libraries,Size")


@click.command(cls=Command)
@image_name
@pass_session
def show(session: Session, name: str) -> None:
    """Show an image."""
    body, image = session.ask(calls.get(name))
    session.answer(body, lambda: show_image(image))


def show_image(image: Image) -> None:
    facts: list[tuple[str, str | Text]] = [
        ("Name", image.name),
        ("Status", output.coloured_status(image.status)),
        ("Base", f"{image.image_type}, Python {image.python_version}"),
        ("Asked for", ", ".join((*image.requirements, *image.package_requirements))),
        ("Owner", str(image.owner)),
    ]
    if image.description:
        facts.insert(1, ("About", image.description))
    if image.indexes:
        facts.append(("Indexes", ", ".join(image.indexes)))
    if image.allow_prereleases:
        facts.append(("Pre-releases", "allowed"))
    if image.locked_by:
        facts.append(("Locked by", image.locked_by))
    facts += image.run_time.by_title.items()
    if image.tags:
        facts.append(("Tags", ", ".join(f"{tag} (build {n})" for tag, n in image.tags.items())))
    if image.current_build:
        libraries = ", ".join(f"{library.name} {library.version}" for library in image.libraries)
        facts += [
            ("Libraries", libraries),
            ("Size", output.size(image)),
            ("Pull", image.pull_reference),
        ]
    if image.import_check:
        facts.append(("Imports", summary(image.import_check)))
    facts += [
        ("Created", output.format_moment(image.created_at)),
        ("Changed", output.format_moment(image.updated_at)),
    ]
    facts += [("Missing", Text(str(item), style="yellow")) for item in image.missing_libraries]
    if image.drift:
        facts += drift_facts(image.drift)
    build = image.latest_build
    if image.is_building and image.expected_digest:
        facts.append(("Will be", image.expected_digest))
    if build is not None and build.error_message:
        facts.append(("Failed", Text(f"{build.error_message} {build.error_hint}", style="red")))
    output.print_facts(facts)


def drift_facts(drift: Drift) -> list[tuple[str, str | Text]]:
    """What the registry lacks, and why that is not healed."""
    facts: list[tuple[str, str | Text]] = [
        ("Registry", Text(f"{drift.message}. {drift.hint}", style="yellow")),
        *(("Found", finding) for finding in drift.findings),
    ]
    if drift.error_message:
        facts.append(("Reason", Text(f"{drift.error_message} {drift.error_hint}", style="red")))
    return facts


@click.command(cls=Command, no="no image has all of them")
@with_spec
@pass_session
def match(session: Session, spec: Spec) -> None:
    """Find images that have what you need already.

    Those that have all LIBRARIES come first, the smallest first; then those that have some.
    """
    body, found = session.ask(calls.match(spec, limit=20))
    session.answer(body, lambda: show_matches(found))
    if not any(item.satisfies for item in found):
        click.get_current_context().exit(1)


def show_matches(found: tuple[Match, ...]) -> None:
    if not found:
        output.note("No image has any of these.")
        return
    rows: list[list[str | Text]] = []
    for item in found:
        missing = ", ".join(
            f"{lack.requirement} (has {lack.installed})" if lack.installed else lack.requirement
            for lack in item.missing
        )
        cells = [item.image.name, item.image.image_type, item.image.python_version]
        outcome = Text(missing, style="yellow") if missing else Text("nothing", style="green")
        rows.append([*cells, str(item.library_count), outcome])
    headings = ["Name", "Type", "Python", "Libraries", "Missing"]
    output.print_table(headings, rows, right="Libraries")


@click.command(cls=Command)
@image_name
@yes_option
@pass_session
def rm(session: Session, name: str, yes: bool) -> None:
    """Remove an image, for every workspace.

    For administrators. The question says whether and how long it can be restored.
    """
    session.client.get_managed_image(name)
    hours = session.client.get_instance().removal_grace_hours
    if not yes:
        outlook = f"It can be restored for {span(hours)}." if hours else "This cannot be undone."
        confirm(f"Remove {name} for every workspace? {outlook}")
    body, _ = session.ask(calls.delete(name))

    def tell() -> None:
        click.echo(f"The managed image {name} was removed.")
        if hours:
            click.echo(f"For {span(hours)} it comes back with: ri-images restore {name}")

    session.answer(body, tell)


def confirm(question: str) -> None:
    """Go on only if the reader says so: whoever declines changes nothing, and gets exit status 1."""
    if not click.confirm(question, err=True):
        output.note("Nothing was changed.")
        click.get_current_context().exit(1)


def span(hours: int) -> str:
    """Hours as the console says them: `1 hour`, `36 hours`, `3 days`."""
    count, unit = (hours // 24, "day") if hours >= 48 and hours % 24 == 0 else (hours, "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}"


@click.command(cls=Command, no="no image of this name was removed")
@click.argument("name")
@pass_session
def restore(session: Session, name: str) -> None:
    """Bring a removed image back, with all its builds.

    For administrators. `ri-images list --removed` lists those that can be restored.
    """
    body, image = session.ask(calls.restore(name))
    session.answer(body, lambda: show_image(image))
