"""Limits of size and number, so that a hostile file costs milliseconds."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from yaml import CSafeLoader, YAMLError, compose, parse
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    ScalarEvent,
)
from yaml.nodes import Node

MAX_FILES = 50
# A uv.lock of 400 libraries has 4 million characters.
MAX_CHARACTERS = 8_000_000
# Of a file that people write by hand.
MAX_SOURCE_CHARACTERS = 1_000_000
MAX_LINES = 100_000
# Of one requirement without its hashes; `apache-airflow` with all of its extras has 1,500.
MAX_REQUIREMENT = 4_000
MAX_NAME = 200
MAX_REQUIREMENTS = 5_000
MAX_PARENTHESES = 50
MAX_YAML_DEPTH = 20
MAX_YAML_VALUES = 20_000
MAX_INCLUDES = 20
# Of one file; then its reading stops.
MAX_REFUSED = 500
# Lines about one library.
MAX_MERGED = 50
# tomllib takes time with the square of a dotted key's parts. A wheel's address has about ten dots.
MAX_DOTS_SQUARED = 400
# Control characters of binary files.
TOO_DEEP = (
    "It is nested too deeply or has a number that is too long; give the file as its tool wrote it."
)
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f]")


def toml_tables(text: str) -> dict[str, Any]:
    """TOML as tables. Raises `ValueError` with a sentence."""
    lines = text.count("\n") + 1
    dots = sum(line.count(".") ** 2 for line in text.split("\n") if "." in line)
    if dots > MAX_DOTS_SQUARED * (lines + 40):
        raise ValueError("It has keys of too many parts; give the file as its tool wrote it.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"It is not TOML: {error}.") from error
    except (RecursionError, ValueError) as error:
        raise ValueError(TOO_DEEP) from error


def json_values(text: str) -> Any:
    """JSON as values. Raises `ValueError` with a sentence."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"It is not JSON: {error.msg} in line {error.lineno}.") from error
    except (RecursionError, ValueError) as error:
        raise ValueError(TOO_DEEP) from error


def yaml_document(text: str) -> Node | None:
    """A YAML document as nodes, which know their lines. Raises `ValueError` with a sentence.

    The events are counted first, as they cost no recursion and expand no alias.
    """
    depth = values = documents = 0
    try:
        for event in parse(text, Loader=CSafeLoader):
            if isinstance(event, AliasEvent) or getattr(event, "tag", None):
                start = event.start_mark
                raise ValueError(
                    f"Line {start.line + 1 if start else 1} has an alias or a tag; write the value itself."
                )
            documents += isinstance(event, DocumentStartEvent)
            values += isinstance(event, ScalarEvent | CollectionStartEvent)
            depth += isinstance(event, CollectionStartEvent)
            depth -= isinstance(event, CollectionEndEvent)
            if depth > MAX_YAML_DEPTH or values > MAX_YAML_VALUES or documents > 1:
                raise ValueError("It is too large, nested too deeply, or has several documents.")
        return compose(text, Loader=CSafeLoader)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = getattr(mark, "line", None)
        where = "" if line is None else f" in line {line + 1}"
        problem = getattr(error, "problem", None) or "unreadable"
        raise ValueError(f"It is not YAML: {problem}{where}.") from error


def refuse_oversized(name: str, text: str, *, generated: bool) -> None:
    """Raises `ValueError` with a sentence for a file that no tool and no person wrote."""
    bound = MAX_CHARACTERS if generated else MAX_SOURCE_CHARACTERS
    if len(text) > bound:
        raise ValueError(f"A file takes at most {bound:,} characters, and this has {len(text):,}.")
    lines = text.count("\n") + 1
    if lines > MAX_LINES:
        raise ValueError(f"A file takes at most {MAX_LINES:,} lines, and this has {lines:,}.")
    if _INVISIBLE.search(text[:4_000]):
        raise ValueError(f"{name} is not a text; give the file itself, not an archive of it.")
