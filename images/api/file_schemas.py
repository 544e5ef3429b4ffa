"""Schemas of requirement files in requests."""

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
    """A requirement file."""

    name: Line = Field(min_length=1, max_length=MAX_NAME, examples=["requirements.txt"])
    """Its name, which determines the format. Folders are needed only if files refer to each other by path."""
    text: str = Field(max_length=MAX_SUPPLIED, examples=["numpy>=2 ; python_version >= '3.9'\n"])
    """Its text."""


class FilesIn(Camel):
    """Requirement files, with the dependency groups and extras to take from them."""

    files: list[FileIn] = Field(default_factory=list, max_length=MAX_FILES)
    """The files, with those that they include. An image's files are stored with it."""
    groups: list[Choice] = Field(default_factory=list, max_length=MAX_CHOICES, examples=[[]])
    """Dependency groups to take from the files."""
    extras: list[Choice] = Field(default_factory=list, max_length=MAX_CHOICES, examples=[[]])
    """Extras to take from the files' project."""


def supplied_files(files: Iterable[FileIn]) -> tuple[SuppliedFile, ...]:
    """The files of a request as values of `images.requirement_files`."""
    return tuple(SuppliedFile(file.name, file.text) for file in files)


def typed_files(libraries: Iterable[PipRequirement]) -> tuple[SuppliedFile, ...]:
    """Libraries that are named one by one, as a file beside the others; none if there are none."""
    text = "\n".join(item.line for item in libraries)
    return (SuppliedFile(TYPED, text),) if text else ()
