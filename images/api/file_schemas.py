"""Files that people bring, as requests hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, StringConstraints

from images.requirement_files import SuppliedFile
from images.requirement_files.configured import MAX_SUPPLIED, TYPED
from images.requirement_files.limits import MAX_FILES
from images.requirements import PipRequirement
from ri_platform.api import Camel, Line

MAX_NAME = 300
MAX_CHOICES = 50
Choice = Annotated[Line, StringConstraints(max_length=200)]


class FileIn(Camel):
    """A file as its owner has it."""

    name: Line = Field(min_length=1, max_length=MAX_NAME, examples=["requirements.txt"])
    """Its name, with folders where files name each other by them; it tells the format."""
    text: str = Field(max_length=MAX_SUPPLIED, examples=["numpy>=2 ; python_version >= '3.9'\n"])
    """What stands in it."""


class FilesIn(Camel):
    """Files that say which libraries something needs, and what is chosen of them."""

    files: list[FileIn] = Field(default_factory=list, max_length=MAX_FILES)
    """Files as people have them, with those that they include. Those of an image are kept with it."""
    groups: list[Choice] = Field(default_factory=list, max_length=MAX_CHOICES, examples=[[]])
    """Dependency groups of the files to take as well."""
    extras: list[Choice] = Field(default_factory=list, max_length=MAX_CHOICES, examples=[[]])
    """Extras of the files' project to take as well."""


def supplied_files(files: Iterable[FileIn]) -> tuple[SuppliedFile, ...]:
    """As `images.requirement_files` takes them."""
    return tuple(SuppliedFile(file.name, file.text) for file in files)


def as_typed(libraries: Iterable[PipRequirement]) -> tuple[SuppliedFile, ...]:
    """Libraries that are named one by one, as a file beside the others; none if there are none."""
    text = "\n".join(item.line for item in libraries)
    return (SuppliedFile(TYPED, text),) if text else ()
