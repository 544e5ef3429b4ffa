"""REST for the files that people bring: what is asked for in them, and what became of each line."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from pydantic import Field

from images.api.file_schemas import FileIn, FilesIn, supplied_files
from images.api.spec_schemas import PYTHON_VERSION
from images.requirement_files import Reading, Supplied
from images.requirement_files.configured import read_supplied
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
    """The image's, as `X.Y`; markers are decided by it. Empty takes the one that the files name."""


class ReadRequirementOut(Camel):
    """A library to install."""

    name: str = Field(examples=["numpy"])
    """The library's name."""
    specifier: str = Field(examples=[">=2"])
    """PEP 440; empty for any version."""
    extras: list[str] = Field(examples=[[]])
    """Its extras."""
    index: str = Field(examples=[""])
    """The name of the index that it has to come from; empty if the operator's rules say."""
    file: str = Field(examples=["requirements.txt"])
    """The file that asks for it."""
    line: int = Field(examples=[1])
    """The line; the first of several that were merged."""


class LeftOutLine(Camel):
    """A line that is understood and not needed."""

    file: str = Field(examples=["requirements.txt"])
    """The file."""
    line: int = Field(examples=[2])
    """The line; 0 means the whole file."""
    text: str = Field(examples=["pywin32; sys_platform == 'win32'"])
    """What stands there."""
    reason: str = Field(examples=["Its marker does not hold."])
    """Why it is not needed."""


class RefusedLine(Camel):
    """A line that cannot be taken."""

    file: str = Field(examples=["requirements.txt"])
    """The file."""
    line: int = Field(examples=[3])
    """The line; 0 means the whole file."""
    text: str = Field(examples=["numpy=1.26.4"])
    """What stands there, without credentials."""
    message: str = Field(examples=["One equals sign is conda's; write numpy==1.26.4."])
    """What is wrong and what to do, in a sentence."""


class ReadRequirements(Camel):
    """What became of each line."""

    requirements: list[ReadRequirementOut]
    """The libraries that are asked for, lines about the same merged."""
    constraints: list[ReadRequirementOut]
    """Bounds for libraries that others bring, as of pip's `-c`."""
    left_out: list[LeftOutLine]
    """Lines that are covered otherwise."""
    refused: list[RefusedLine]
    """The first ten lines that cannot be taken."""
    refused_more: int = Field(examples=[0])
    """The number of further models."""
    hints: list[str] = Field(examples=[[]])
    """Remarks about what was taken."""
    python_version: str = Field(examples=["3.11"])
    """The one Python that the files name; empty if they leave it open."""
    locked: str = Field(examples=["uv.lock"])
    """The file that is a complete lock; empty if none is."""
    groups: list[str] = Field(examples=[["dev"]])
    """The dependency groups that one may choose."""
    extras: list[str] = Field(examples=[["serve"]])
    """The extras that one may choose."""


@routes.post(
    "/requirements:read",
    response={200: ReadRequirements, **ERRORS},
    summary="Read requirement files",
)
@guarded(Action.SEE_IMAGES)
def read_requirements(request: HttpRequest, wanted: ReadRequirementsIn) -> dict[str, Any]:
    """Tells what files ask for and what became of each line; nothing is kept, resolved or built."""
    supplied = Supplied(supplied_files(wanted.files), tuple(wanted.groups), tuple(wanted.extras))
    return described(read_supplied(supplied, wanted.python_version))


def described(reading: Reading) -> dict[str, Any]:
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
    }
