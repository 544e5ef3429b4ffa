"""The reader of requirement files, by this instance's settings: its indexes, and what an image can hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from packaging.specifiers import SpecifierSet

from images.indexes import Indexes
from images.requirement_files import (
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
# A specifier that takes pre-releases and bounds nothing (PEP 440).
ANY_PRERELEASE = ">=0.dev0"


def read_files(
    files: Sequence[SuppliedFile],
    python_version: str = "",
    *,
    groups: Collection[str] = (),
    extras: Collection[str] = (),
) -> Reading:
    """Read files for an image; without a Python, for the one that they name. Raises `Invalid`."""
    try:
        return read(
            files,
            python_version=python_version or None,
            groups=groups,
            extras=extras,
            indexes=Indexes.configured().addresses,
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
    return read_files(
        supplied.files, python_version, groups=supplied.groups, extras=supplied.extras
    )


def pip_requirements_of(reading: Reading, *, field: str = "files") -> list[PipRequirement]:
    """The libraries that were read. Raises `RequirementErrors` naming every line that cannot be taken."""
    if problems := refusals(reading):
        raise RequirementErrors(
            [
                LineProblem(
                    found.line,
                    found.text,
                    found.message,
                    file="" if found.file == TYPED else found.file,
                )
                for found in problems
            ],
            field=field,
        )
    return [
        (with_prereleases(found) if reading.prereleases else found).as_pip_requirement()
        for found in reading.requirements
    ]


def parse_pip_requirements(
    text: str, python_version: str = "", *, field: str = "pip_requirements"
) -> list[PipRequirement]:
    """The libraries that a pasted text asks for. Raises `RequirementErrors` naming every offending line."""
    reading = read_files([SuppliedFile(TYPED, text)], python_version)
    return pip_requirements_of(reading, field=field)


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
    if len(reading.requirements) > MAX_REQUIREMENTS:
        first = reading.requirements[MAX_REQUIREMENTS]
        message = f"An image takes at most {MAX_REQUIREMENTS} of these."
        refused.append(Refused(first.file, first.line, str(first), message))
    return refused


def with_prereleases(found: ReadRequirement) -> ReadRequirement:
    """A requirement that takes pre-releases, as pip's `--pre` has it."""
    if found.specifier and SpecifierSet(found.specifier).prereleases:
        return found
    return replace(
        found, specifier=str(SpecifierSet(found.specifier) & SpecifierSet(ANY_PRERELEASE))
    )
