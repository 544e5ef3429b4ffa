"""The reader of requirement files with this instance's settings: its indexes and the limits of an image."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion

from images.indexes import DEFAULT_INDEX, Indexes
from images.requirement_files import (
    Lock,
    Reading,
    ReadRequirement,
    Refused,
    Supplied,
    SuppliedFile,
    read,
)
from images.requirements import (
    MAX_REQUIREMENTS,
    LineProblem,
    PipRequirement,
    RequirementErrors,
)
from ri_platform.errors import Invalid

# The name of what is typed into a form, as a file among others.
TYPED = "typed text"
# Of all files of an image together, which are kept with it; a request takes 2.5 MB.
MAX_SUPPLIED = 2_000_000
_LINUX = re.compile(r"(?:many)?linux\w*_(?:x86_64|aarch64)")


def read_files(
    files: Sequence[SuppliedFile],
    python_version: str = "",
    *,
    groups: Collection[str] = (),
    extras: Collection[str] = (),
) -> Reading:
    """Read files for an image; without a Python, for the one that they name. Raises `Invalid`."""
    indexes = Indexes.from_settings().addresses
    try:
        return read(
            files,
            python_version=python_version or None,
            groups=groups,
            extras=extras,
            indexes=indexes,
        )
    except ValueError as error:
        raise Invalid(
            f"{python_version!r} is not a Python version, like 3.11.", field="python_version"
        ) from error


def read_supplied(supplied: Supplied, python_version: str = "") -> Reading:
    """Read what was given for an image. Raises `Invalid` for what is too large to be kept with it."""
    if sum(len(file.text) for file in supplied.files) > MAX_SUPPLIED:
        raise Invalid(
            f"The files have more than {MAX_SUPPLIED:,} characters together.",
            hint="Give the lock alone, or the file that names the libraries.",
            field="files",
        )
    for file in supplied.files:
        if "\0" in file.text:
            raise Invalid(f"{file.name} is not a text; give the file itself.", field="files")
    reading = read_files(
        supplied.files, python_version, groups=supplied.groups, extras=supplied.extras
    )
    return refuse_beside_lock(reading, supplied, python_version)


class BesideLock(Refused):
    """Libraries that are named one by one beside a file that locks everything, so they would be ignored."""


class LibrariesBesideLock(RequirementErrors):
    """Libraries are named one by one beside a complete lock, which installs what it names alone."""

    code = "libraries_beside_lock"


def refuse_beside_lock(reading: Reading, supplied: Supplied, python_version: str) -> Reading:
    """The reading with typed text refused, if it asks for libraries and a lock is why it was not read.

    Other files beside a lock are left out: a project's pyproject.toml lies beside its uv.lock.
    """
    ignored = [line for line in reading.left_out if (line.file, line.line) == (TYPED, 0)]
    typed = [file for file in supplied.files if file.name == TYPED]
    if not ignored or reading.lock is None:
        return reading
    own = read_files(typed, python_version)
    if not (own.requirements or own.constraints or own.refused):
        return reading
    message = (
        f"{reading.locked} locks all that is installed, so no libraries are taken beside it; "
        "leave them out, or add them to the lock."
    )
    return replace(
        reading,
        left_out=tuple(line for line in reading.left_out if line not in ignored),
        refused=(*reading.refused, BesideLock(TYPED, 0, "", message)),
    )


def pip_requirements_of(reading: Reading, *, field: str = "files") -> list[PipRequirement]:
    """The libraries that were read. Raises `RequirementErrors` naming every line that cannot be taken."""
    if problems := refusals(reading):
        beside_lock = any(isinstance(problem, BesideLock) for problem in problems)
        error = LibrariesBesideLock if beside_lock else RequirementErrors
        raise error(
            [
                LineProblem(
                    found.line,
                    found.text,
                    found.message,
                    file="" if found.file == TYPED else found.file,
                )
                for found in problems
            ],
            # Typed text is `pip_requirements` in forms and requests.
            field="pip_requirements" if beside_lock else field,
        )
    usable = hashes_for_linux(reading.lock) if reading.lock else {}
    return [
        image_requirement(found, usable.get(found.normalized_name, found.hashes))
        for found in reading.requirements
    ]


def image_requirement(found: ReadRequirement, hashes: Collection[str]) -> PipRequirement:
    """A requirement as images keep it.

    That it comes from the default index stands in nearly every file that names one; here the operator's rules
    say so, or a stranger's library of that name would take the place of an internal one.
    """
    kept = found.as_pip_requirement()
    return replace(
        kept,
        index="" if kept.index == DEFAULT_INDEX else kept.index,
        hashes=tuple(text for text in hashes if text.startswith("sha256:")),
    )


def hashes_for_linux(lock: Lock) -> dict[str, tuple[str, ...]]:
    """Library → the hashes of its files that some image could install; all of them if none could."""
    return {
        canonicalize_name(package.name): tuple(
            f"sha256:{file.sha256}"
            for file in [file for file in package.files if runs_on_linux(file.name)]
            or package.files
        )
        for package in lock.packages
    }


def runs_on_linux(filename: str) -> bool:
    """Whether CPython on Linux can install a file, by its name; true if it has none."""
    if not filename.endswith(".whl"):
        return True
    try:
        *_, tags = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion):
        return False
    return any(
        tag.interpreter.startswith(("py3", "cp3"))
        and (tag.platform == "any" or _LINUX.fullmatch(tag.platform))
        for tag in tags
    )


def indexes_of(reading: Reading) -> tuple[str, ...]:
    """The indexes beside the default one that the files' options name, for all of an image's libraries."""
    return tuple(name for name in reading.indexes if name != DEFAULT_INDEX)


def parse_pip_requirements(
    text: str, python_version: str = "", *, field: str = "pip_requirements"
) -> list[PipRequirement]:
    """The libraries that a text of libraries alone asks for.

    Raises `RequirementErrors` naming every offending line, and for options that are about all of an image.
    """
    reading = read_typed(text, python_version)
    found = pip_requirements_of(reading, field=field)
    if reading.prereleases or indexes_of(reading):
        message = "Name libraries alone here, without options about indexes and pre-releases."
        raise RequirementErrors([LineProblem(0, "", message)], field=field)
    return found


def read_typed(text: str, python_version: str = "") -> Reading:
    """Read a pasted text. Raises `Invalid`."""
    return read_files([SuppliedFile(TYPED, text)], python_version)


def refusals(reading: Reading) -> list[Refused]:
    """All that stands against building an image of it."""
    return [*reading.refused, *beyond_an_image(reading)]


def beyond_an_image(reading: Reading) -> list[Refused]:
    """What can be read and an image cannot hold."""
    refused = [
        Refused(
            bound.file, bound.line, str(bound), f"Nothing here asks for {bound.name}; leave it out."
        )
        for bound in reading.constraints
    ]
    refused += [
        Refused(
            found.file,
            found.line,
            str(found),
            f"{found.name} has hashes, and none with sha256, which is what is compared; add one.",
        )
        for found in reading.requirements
        if found.hashes and not any(text.startswith("sha256:") for text in found.hashes)
    ]
    if len(reading.requirements) > MAX_REQUIREMENTS:
        first = reading.requirements[MAX_REQUIREMENTS]
        message = f"An image takes at most {MAX_REQUIREMENTS} of these."
        refused.append(Refused(first.file, first.line, str(first), message))
    return refused
