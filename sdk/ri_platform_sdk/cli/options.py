"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from ri_platform_sdk.cli.completion import complete_images
from ri_platform_sdk.cli.given import GivenArguments, spec_of

image_name = click.argument("name", shell_complete=complete_images)
build_option = click.option(
    "--build", type=click.IntRange(min=1), help="A build's number; the current one unless given."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
index_option = click.option(
    "--index", "indexes", multiple=True, metavar="NAME",
    help="An explicit index of the instance from which libraries may come; may be repeated.",
)  # fmt: skip
pre_option = click.option("--pre", is_flag=True, help="Pre-releases count as releases.")
no_wait_option = click.option("--no-wait", is_flag=True, help="Do not wait for the build.")

FILE = click.Path(exists=True, dir_okay=False)
GIVEN_OPTIONS = [
    click.argument("libraries", nargs=-1),
    click.option("-r", "--requirements", "files", multiple=True, metavar="FILE",
                 type=click.Path(exists=True, dir_okay=False, allow_dash=True),
                 help="A requirements.txt, pyproject.toml, environment.yml, notebook or lock, or - for the "
                      "standard input; may be repeated."),
    click.option("-c", "--constraints", "constraints", multiple=True, metavar="FILE", type=FILE,
                 help="Versions of libraries that others bring, as with pip; may be repeated."),
    click.option("--lock", metavar="FILE", type=FILE,
                 help="A complete lock, such as uv.lock or pylock.toml; refused if it is none."),
    click.option("--group", "groups", multiple=True, metavar="GROUP",
                 help="Also this dependency group of the files; may be repeated."),
    click.option("--extra", "extras", multiple=True, metavar="EXTRA",
                 help="Also this extra of the files' project; may be repeated."),
    click.option("--python", "python_version", metavar="X.Y", help="Python version."),
]  # fmt: skip
BASE_OPTIONS = [
    click.option("--os-package", "packages", multiple=True, metavar="PACKAGE",
                 help="An OS package, as name or name=version; may be repeated."),
    click.option("--type", "image_type", type=click.Choice(["all", "images", "nlp", "tabular"]),
                 help="What the base image has."),
]  # fmt: skip


def with_given(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command libraries and files, as one argument `given`."""

    @wraps(command)
    def gather(
        *arguments: Any, libraries: Any, files: Any, constraints: Any, lock: Any, groups: Any,
        extras: Any, python_version: Any, **rest: Any,
    ) -> Any:  # fmt: skip
        given = GivenArguments(libraries, files, constraints, lock, groups, extras, python_version)
        return command(*arguments, given=given, **rest)

    return add_options(gather, GIVEN_OPTIONS)


def with_base(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options about what an image has beside libraries."""
    return add_options(command, BASE_OPTIONS)


def with_spec(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an image's content, as one argument `spec`."""

    @wraps(command)
    def gather(
        *arguments: Any, given: GivenArguments, packages: Any, image_type: Any, **rest: Any
    ) -> Any:
        spec = spec_of(given, packages, image_type)
        return command(*arguments, spec=spec, **rest)

    return with_given(with_base(gather))


def add_options(command: Callable[..., Any], options: list[Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
