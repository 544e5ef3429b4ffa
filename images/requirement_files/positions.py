"""Line numbers of values in files whose parsers report none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_HEADER = re.compile(r"^\[\[package[s]?\]\]", re.MULTILINE)
_NAME = re.compile(r"^name[ \t]*=[ \t]*[\"']([^\"'\n]+)[\"']", re.MULTILINE)
_VERSION = re.compile(r"^version[ \t]*=[ \t]*[\"']([^\"'\n]+)[\"']", re.MULTILINE)


def line_of(text: str, wanted: str) -> int:
    """The line in which a text first stands as a whole value, else in which it stands at all; else 0."""
    for form in (f'"{wanted}"', f"'{wanted}'", wanted):
        at = text.find(form)
        if at >= 0:
            return text.count("\n", 0, at) + 1
    return 0


def lines_of_packages(text: str) -> dict[tuple[str, str], int]:
    """Name and version to the line of the entry's name, for each `[[package]]` of a lock."""
    found: dict[tuple[str, str], int] = {}
    counted = at_line = 0
    for start, end in entries(text):
        entry = text[start:end]
        name, version = _NAME.search(entry), _VERSION.search(entry)
        if name:
            at_line += text.count("\n", counted, start + name.start())
            counted = start + name.start()
            found.setdefault((name[1], version[1] if version else ""), at_line + 1)
    return found


def entries(text: str) -> Iterator[tuple[int, int]]:
    starts = [header.start() for header in _HEADER.finditer(text)]
    yield from pairwise([*starts, len(text)])
