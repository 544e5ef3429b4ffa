"""Requirement files as they are sent to the server, which alone parses them."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ri_platform_sdk.errors import InvalidRequest


@dataclass(frozen=True)
class RequirementFile:
    """A file as a name and a text. The name tells the format, such as `pyproject.toml` or `uv.lock`."""

    name: str
    text: str


Files = Iterable[str | os.PathLike[str] | RequirementFile]

# UTF-32's mark of the byte order begins with UTF-16's. PowerShell's `>` writes UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What a file may bring along: a line of somebody else's file must not send a private key.
_INCLUDABLE = frozenset({".txt", ".in"})
_INCLUDE = re.compile(
    r"^[ \t]*(?:-r|-c|--requirement|--constraint)[ \t=]*([^\s#][^\r\n]*?)(?:[ \t]+#.*)?[ \t\r]*$",
    re.M,
)


def wire_files(given: Files) -> list[dict[str, str]]:
    """Files as the API takes them, with those that their `-r` and `-c` lines name.

    Raises `InvalidRequest` for what is no text.
    """
    if isinstance(given, str | os.PathLike | RequirementFile):
        raise InvalidRequest("Give files as a list, even if it is one.", field="files")
    items = list(given)
    read = read_with_includes([item for item in items if not isinstance(item, RequirementFile)])
    texts = [item for item in items if isinstance(item, RequirementFile)]
    files = dict.fromkeys([*read.values(), *texts])
    return [{"name": file.name, "text": file.text} for file in files]


def read_with_includes(
    paths: Iterable[str | os.PathLike[str]],
) -> dict[str | os.PathLike[str], RequirementFile]:
    """The files at the paths, and under their own paths those that they include.

    Names are relative to the folder that holds all of them, so that they name each other as before.
    """
    given = list(paths)
    texts: dict[Path, str] = {}
    for path in given:
        add_with_includes(absolute(path), texts)
    names = names_of(texts)
    found = {path: RequirementFile(names[path], text) for path, text in texts.items()}
    return {path: found[absolute(path)] for path in given} | found


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path without `..`; links stay, as the names of files do."""
    return Path(os.path.abspath(path))


def add_with_includes(path: Path, texts: dict[Path, str]) -> None:
    """Read a file and those that it includes into `texts`, each once."""
    if path in texts:
        return
    texts[path] = text_of(path)
    if path.suffix in _INCLUDABLE:
        for named in included_files(texts[path]):
            found = absolute(path.parent / named)
            if found.suffix in _INCLUDABLE and found.is_file():
                add_with_includes(found, texts)


def included_files(text: str) -> Iterator[str]:
    """The files that a requirements.txt names; the server asks for those that are not there."""
    for found in _INCLUDE.finditer(text):
        yield found[1].strip("\"'")


def names_of(paths: Mapping[Path, str]) -> dict[Path, str]:
    """Each path as seen from the innermost folder that has all of them."""
    if not paths:
        return {}
    try:
        top = os.path.commonpath([path.parent for path in paths])
    except ValueError as error:
        raise InvalidRequest("Give files of one drive.", field="files") from error
    return {path: path.relative_to(top).as_posix() for path in paths}


def text_of(path: Path) -> str:
    """A file's text, by its byte order mark or as UTF-8. Raises `InvalidRequest`."""
    content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeError as error:
        raise InvalidRequest(f"{path} is not a text in UTF-8.", field="files") from error
