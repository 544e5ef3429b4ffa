"""The arguments that name libraries and files, and the spec that follows from them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from ri_platform_sdk import calls
from ri_platform_sdk.cli.session import session_of
from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.files import RequirementFile, read_with_includes
from ri_platform_sdk.specs import Spec

# The names of what is in no file.
TYPED, PIPED = "command line", "standard input"


@dataclass(frozen=True)
class GivenArguments:
    """The values of the arguments and options."""

    libraries: tuple[str, ...]
    files: tuple[str, ...]
    constraints: tuple[str, ...]
    lock: str | None
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    python_version: str | None

    @property
    def has_files(self) -> bool:
        return bool(self.files or self.constraints or self.lock)

    def as_files(self, lines: Iterable[str]) -> list[RequirementFile]:
        """The files, with those that they include. `lines` become one, with the constraints' names."""
        paths = [path for path in self.files if path != "-"]
        locks = [self.lock] if self.lock else []
        read = read_with_includes([*paths, *locks, *self.constraints])
        lines = [*lines, *(f"-c {shlex.quote(read[path].name)}" for path in self.constraints)]
        found = [*dict.fromkeys(read.values())]
        if "-" in self.files:
            found.append(RequirementFile(PIPED, sys.stdin.read()))
        if lines:
            found.append(RequirementFile(TYPED, "".join(f"{line}\n" for line in lines)))
        return found


def spec_of(given: GivenArguments, packages: tuple[str, ...], image_type: str | None) -> Spec:
    """The spec of the image. Raises `InvalidRequest`."""
    rest = (packages or None, given.python_version, image_type)
    libraries = list(given.libraries) or None
    choices = (given.groups or None, given.extras or None)
    if not given.has_files:
        return Spec(libraries, *rest, None, *choices)
    # What stands in the standard input can be read once.
    files = given.as_files([])
    if given.lock or given.libraries or given.constraints:
        refuse_ignored(given, files)
    return Spec(libraries, *rest, files, *choices)


def refuse_ignored(given: GivenArguments, files: list[RequirementFile]) -> None:
    """Raises `InvalidRequest` for what is left out beside a lock, and for a lock that is not complete."""
    session = session_of(click.get_current_context())
    call = calls.read_requirements(files, given.python_version, given.groups, given.extras)
    reading = session.client.send(call)
    if given.lock and not reading.locked and not reading.refused:
        raise InvalidRequest(incomplete_lock_message(given.lock))
    if reading.locked and (given.libraries or given.constraints):
        raise InvalidRequest(
            f"{reading.locked} locks all that is installed; name no libraries and constraints beside it."
        )


def incomplete_lock_message(path: str) -> str:
    return (
        f"{Path(path).name} is not a complete lock, with a version and hashes of every library; "
        "give it with -r."
    )
