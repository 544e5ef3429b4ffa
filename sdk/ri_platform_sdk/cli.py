"""`ri-images`: managed images from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ri_platform_sdk import Client, Image, Match, __version__
from ri_platform_sdk.errors import InvalidRequest, RIPlatformError
from ri_platform_sdk.requirements import Requirements


class Group(click.Group):
    """Tells the server's errors as a sentence, with an exit status of 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except RIPlatformError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Group)
@click.option(
    "--domain", envvar="RI_DOMAIN", required=True, help="Address of the console [RI_DOMAIN]."
)
@click.option(
    "--token", envvar="RI_API_TOKEN", required=True, help="API access token [RI_API_TOKEN]."
)
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, domain: str, token: str) -> None:
    """Container images with the libraries that your models need."""
    context.obj = context.with_resource(Client(domain, token))


def asked(libraries: Sequence[str], file: Path | None) -> Requirements:
    if file is not None and libraries:
        raise InvalidRequest("Name libraries or a file, not both.")
    return file if file is not None else list(libraries)


spec_options = [
    click.option("-r", "--requirements", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                 help="A requirements.txt or pylock.toml."),
    click.option("--os-package", "packages", multiple=True, help="An OS package, as name or name=version."),
    click.option("--python", "python_version", help="Python version, as X.Y."),
    click.option("--type", "image_type", type=click.Choice(["all", "images", "nlp", "tabular"])),
]  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def with_spec(command: Any) -> Any:
    for option in reversed(spec_options):
        command = option(command)
    return command


@main.command()
@click.argument("name")
@click.argument("libraries", nargs=-1)
@with_spec
@click.option("--allow-source", is_flag=True, help="Build from source what has no wheel.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the build.")
@as_json
@click.pass_obj
def create(
    client: Client,
    name: str,
    libraries: Sequence[str],
    requirements: Path | None,
    packages: Sequence[str],
    python_version: str | None,
    image_type: str | None,
    allow_source: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Create the image NAME with LIBRARIES, such as numpy 'pandas>=2', and wait for it."""
    image = client.create_managed_image(
        name,
        asked(libraries, requirements),
        packages,
        python_version,
        image_type,
        allow_source=allow_source,
    )
    if not no_wait:
        image = client.wait_for_managed_image(name)
    show_image(image, as_json)


@main.command("list")
@click.option(
    "--with",
    "libraries",
    multiple=True,
    metavar="LIBRARY",
    help="Only images with it.",
)
@as_json
@click.pass_obj
def list_images(client: Client, libraries: Sequence[str], as_json: bool) -> None:
    """List images."""
    images = list(client.list_managed_images(libraries))
    if as_json:
        print_json([asdict(image) for image in images])
        return
    table = Table("Name", "Status", "Type", "Python", "Libraries", "Size", box=None, pad_edge=False)
    for image in images:
        table.add_row(
            image.name, image.status, image.image_type, image.python_version,
            str(len(image.libraries)) if image.current_build else "-", size(image),
        )  # fmt: skip
    print_table(table)


@main.command()
@click.argument("name")
@as_json
@click.pass_obj
def show(client: Client, name: str, as_json: bool) -> None:
    """Show the image NAME."""
    show_image(client.get_managed_image(name), as_json)


@main.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on while the build runs.")
@click.option("--build", type=int, help="A build's number; the newest unless given.")
@click.pass_obj
def log(client: Client, name: str, follow: bool, build: int | None) -> None:
    """Print a build's log."""
    for piece in client.follow_log(name, build):
        click.echo(piece, nl=False)
        if not follow:
            break


@main.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(client: Client, name: str, yes: bool) -> None:
    """Remove the image NAME from the instance, for everybody."""
    client.get_managed_image(name)
    if not yes:
        click.confirm(f"Remove {name} for every workspace? This cannot be undone.", abort=True)
    client.delete_managed_image(name)
    click.echo(f"The managed image {name} was removed.")


@main.command()
@click.argument("libraries", nargs=-1)
@with_spec
@as_json
@click.pass_obj
def match(
    client: Client,
    libraries: Sequence[str],
    requirements: Path | None,
    packages: Sequence[str],
    python_version: str | None,
    image_type: str | None,
    as_json: bool,
) -> None:
    """Find images that have LIBRARIES already. The exit status is 1 if none has all of them."""
    found = client.match_managed_images(
        asked(libraries, requirements), packages, python_version, image_type
    )
    if as_json:
        print_json([asdict(item) for item in found])
    else:
        show_matches(found)
    sys.exit(0 if any(item.satisfies for item in found) else 1)


def show_matches(found: Sequence[Match]) -> None:
    if not found:
        click.echo("No image has any of these.", err=True)
        return
    table = Table("Name", "Type", "Python", "Libraries", "Missing", box=None, pad_edge=False)
    for item in found:
        missing = ", ".join(
            f"{lack.requirement} (has {lack.installed})" if lack.installed else lack.requirement
            for lack in item.missing
        )
        table.add_row(
            item.image.name, item.image.image_type, item.image.python_version,
            str(item.library_count), missing or "nothing",
        )  # fmt: skip
    print_table(table)


def show_image(image: Image, as_json: bool) -> None:
    if as_json:
        print_json(asdict(image))
        return
    rows = [
        ("Name", image.name),
        ("Status", image.status),
        ("Base", f"{image.image_type}, Python {image.python_version}"),
        ("Asked for", ", ".join((*image.requirements, *image.package_requirements))),
        ("Owner", str(image.owner)),
    ]
    if image.current_build:
        libraries = ", ".join(f"{library.name} {library.version}" for library in image.libraries)
        rows += [("Libraries", libraries), ("Size", size(image)), ("Pull", image.pull_reference)]
    build = image.latest_build
    if build is not None and build.error_message:
        rows.append(("Failed", f"{build.error_message} {build.error_hint}"))
    # Whole lines, whatever the terminal's width: references are there to be copied.
    for label, text in rows:
        click.echo(f"{label:<11}{text}")


def print_table(table: Table) -> None:
    """As wide as the terminal; where there is none, as wide as it takes."""
    console = Console()
    (console if console.is_terminal else Console(width=1000)).print(table)


def size(image: Image) -> str:
    return f"{image.size_bytes / 1e6:.1f} MB" if image.current_build else "-"


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str))
