"""Shared functions of the readers: TOML tables, and the Python version that a file asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import MAX_REQUIREMENTS
from images.requirement_files.positions import line_of
from images.requirement_files.values import SuppliedFile

_MINOR = re.compile(r"3\.\d{1,2}(?=$|\.)")


def table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table within another. Raises `ValueError` with a sentence if it is something else."""
    found = tables.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(f"{name} is no table; write it as its tool documents it.")
    if len(found) > MAX_REQUIREMENTS:
        raise ValueError(f"{name} has more than {MAX_REQUIREMENTS:,} entries; give fewer.")
    return found


def texts(tables: Mapping[str, Any], name: str) -> list[str]:
    """A list of strings. Raises `ValueError` with a sentence if it is something else."""
    found = tables.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ValueError(f"{name} is no list of strings; write it as its tool documents it.")
    if len(found) > MAX_REQUIREMENTS:
        raise ValueError(f"{name} has more than {MAX_REQUIREMENTS:,} entries; give fewer.")
    return found


def note_wanted_python(draft: Draft, file: SuppliedFile, specifier: object) -> None:
    """Note the one Python that a specifier leaves, and refuse one that leaves out the image's."""
    if not isinstance(specifier, str) or not specifier:
        return
    place = Place(file.name, line_of(file.text, specifier))
    try:
        if not draft.target.satisfies(specifier):
            python = draft.target.python_version
            message = (
                f"It is for Python {specifier}, and the image has {python}; choose another Python."
            )
            draft.refuse(place, specifier, message)
        only = single_python(specifier)
    except ValueError as error:
        draft.refuse(place, specifier, str(error))
        return
    if only:
        draft.python_versions.setdefault(only, place)


def single_python(specifier: str) -> str | None:
    """`3.11` of `3.11.7`, `==3.11.*` or `~=3.11.0`; None if a specifier leaves several."""
    try:
        wanted = list(SpecifierSet(specifier))
    except InvalidSpecifier:
        wanted = []
        pinned = _MINOR.match(specifier.strip())
        return pinned[0] if pinned else None
    for part in wanted:
        found = _MINOR.match(part.version)
        if found and (
            part.operator in ("==", "===")
            or (part.operator == "~=" and part.version.count(".") >= 2)
        ):
            return found[0]
    return None
