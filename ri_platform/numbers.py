"""Parsing of numbers from outside, which are texts of any length with digits of any script."""

from __future__ import annotations

from typing import Literal


def number_of(given: str | int, bits: Literal[31, 63]) -> int | None:
    """The whole number, if a column of an integer (31 bits) or a big integer (63) can hold it.

    None for anything else, so that a query is never asked for what PostgreSQL refuses. In text only the
    digits 0 to 9 count: `int` also takes signs, spaces, underscores and other scripts' digits.
    """
    if isinstance(given, str):
        if not (given.isascii() and given.isdecimal() and len(given) < 20):
            return None
        given = int(given)
    return given if 0 <= given < 2**bits else None
