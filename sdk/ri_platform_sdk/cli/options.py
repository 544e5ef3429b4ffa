"""Arguments and options that several commands have, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ri_platform_sdk.cli.completion import complete_images
from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.requirements import Requirements

image_name = click.argument("name", shell_complete=complete_images)
build_option = click.option(
    "--build", type=click.IntRange(min=1), help="A build's number; the current one unless given."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
no_wait_option = click.option("--no-wait", is_flag=True, help="Do not wait for the build.")


@dataclass(frozen=True)
class Spec:
    """What an image shall contain, as the options say it; None where they say nothing."""

    libraries: tuple[str, ...]
    file: Path | None
    packages: tuple[str, ...]
    python_version: str | None
    image_type: str | None

    @property
    def requirements(self) -> Requirements:
        if self.file is not None and self.libraries:
            raise InvalidRequest("Name libraries or a file, not both.")
        return self.file if self.file is not None else list(self.libraries)

    @property
    def is_empty(self) -> bool:
        return not any(
            (self.libraries, self.file, self.packages, self.python_version, self.image_type)
        )


SPEC_OPTIONS = [
    click.argument("libraries", nargs=-1),
    click.option("-r", "--requirements", "file", metavar="FILE",
                 type=click.Path(path_type=Path, exists=True, dir_okay=False),
                 help="A requirements.txt or pylock.toml."),
    click.option("--os-package", "packages", multiple=True, metavar="PACKAGE",
                 help="An OS package, as name or name=version; may be repeated."),
    click.option("--python", "python_version", metavar="X.Y", help="Python version."),
    click.option("--type", "image_type", type=click.Choice(["all", "images", "nlp", "tabular"]),
                 help="What the base image has."),
]  # fmt: skip


def with_spec(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an image's content, as one argument `spec`."""

    @wraps(command)
    def gather(
        *arguments: Any,
        libraries: Sequence[str],
        file: Path | None,
        packages: Sequence[str],
        python_version: str | None,
        image_type: str | None,
        **rest: Any,
    ) -> Any:
        spec = Spec(tuple(libraries), file, tuple(packages), python_version, image_type)
        return command(*arguments, spec=spec, **rest)

    decorated: Callable[..., Any] = gather
    for option in reversed(SPEC_OPTIONS):
        decorated = option(decorated)
    return decorated
