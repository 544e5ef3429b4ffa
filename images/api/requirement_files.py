"""REST endpoint that reads requirement files: their requirements, and the result for each line."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from pydantic import Field

from images.api.file_schemas import FileIn, FilesIn, supplied_files
from images.api.spec_schemas import PYTHON_VERSION
from images.requirement_files import Reading, Supplied
from images.requirement_files.configured import indexes_of, read_supplied
from images.requirement_files.limits import MAX_FILES
from images.requirements import MAX_TOLD
from ri_platform.api import ERRORS, Camel, Line, router
from workspaces.access import Action
from workspaces.api.guard import guarded

routes = router("Requirement files", "Files that say which libraries something needs.")


class ReadRequirementsIn(FilesIn):
    """Files, and the image that they are read for."""

    files: list[FileIn] = Field(min_length=1, max_length=MAX_FILES)
    """The files, with those that they include."""
    python_version: Line = Field("", max_length=PYTHON_VERSION, examples=["3.11"])
    """The image's Python version, as `X.Y`, which decides markers; if empty, the one that the files name."""


class ReadRequirementOut(Camel):
    """A library to install."""

    name: str = Field(examples=["numpy"])
    """The library's name."""
    specifier: str = Field(examples=[">=2"])
    """PEP 440; empty for any version."""
    extras: list[str] = Field(examples=[[]])
    """Its extras."""
    index: str = Field(examples=[""])
    """The name of the index that it must come from; if empty, the operator's rules decide."""
    file: str = Field(examples=["requirements.txt"])
    """The file that contains it."""
    line: int = Field(examples=[1])
    """The line; the first of several that were merged."""


class LeftOutLine(Camel):
    """A line that is valid and not needed."""

    file: str = Field(examples=["requirements.txt"])
    """The file."""
    line: int = Field(examples=[2])
    """The line; 0 means the whole file."""
    text: str = Field(examples=["pywin32; sys_platform == 'win32'"])
    """The text of the line."""
    reason: str = Field(examples=["Its marker does not hold."])
    """The reason why it is not needed."""


class RefusedLine(Camel):
    """A line that is refused."""

    file: str = Field(examples=["requirements.txt"])
    """The file."""
    line: int = Field(examples=[3])
    """The line; 0 means the whole file."""
    text: str = Field(examples=["numpy=1.26.4"])
    """The text of the line, without credentials."""
    message: str = Field(examples=["One equals sign is conda's; write numpy==1.26.4."])
    """The problem and the remedy, in a sentence."""


class ReadRequirements(Camel):
    """The result for each line of the files."""

    requirements: list[ReadRequirementOut]
    """The required libraries; lines about the same library are merged."""
    constraints: list[ReadRequirementOut]
    """Constraints on the versions of dependencies, as with pip's `-c`."""
    left_out: list[LeftOutLine]
    """Lines that are valid and not needed."""
    refused: list[RefusedLine]
    """The first ten refused lines."""
    refused_more: int = Field(examples=[0])
    """The number of further refused lines."""
    hints: list[str] = Field(examples=[[]])
    """Remarks about the accepted lines."""
    python_version: str = Field(examples=["3.11"])
    """The one Python that the files name; empty if they leave it open."""
    locked: str = Field(examples=["uv.lock"])
    """The file that is a complete lock; empty if none is."""
    groups: list[str] = Field(examples=[["dev"]])
    """The dependency groups that the files offer."""
    extras: list[str] = Field(examples=[["serve"]])
    """The extras that the files offer."""
    indexes: list[str] = Field(examples=[[]])
    """The indexes beside the default one that options of the files name, for all libraries."""
    allow_prereleases: bool = Field(examples=[False])
    """Whether an option of the files takes pre-releases."""


@routes.post(
    "/requirements:read",
    response={200: ReadRequirements, **ERRORS},
    summary="Read requirement files",
)
@guarded(Action.SEE_IMAGES)
def read_requirements(request: HttpRequest, wanted: ReadRequirementsIn) -> dict[str, Any]:
    """Returns the requirements of files, with the result for each line. Nothing is stored or built."""
    supplied = Supplied(supplied_files(wanted.files), tuple(wanted.groups), tuple(wanted.extras))
    return describe_reading(read_supplied(supplied, wanted.python_version))


def describe_reading(reading: Reading) -> dict[str, Any]:
    return {
        "requirements": [vars(found) for found in reading.requirements],
        "constraints": [vars(found) for found in reading.constraints],
        "left_out": [vars(line) for line in reading.left_out],
        "refused": [vars(line) for line in reading.refused[:MAX_TOLD]],
        "refused_more": max(0, len(reading.refused) - MAX_TOLD),
        "hints": list(reading.hints),
        "python_version": reading.python_version or "",
        "locked": reading.locked or "",
        "groups": list(reading.groups),
        "extras": list(reading.extras),
        "indexes": list(indexes_of(reading)),
        "allow_prereleases": reading.prereleases,
    }
