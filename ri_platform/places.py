"""Markup that is rendered once for many: a template is given places instead of values, which `fill` puts in.

A place is made of letters, so it passes escaping and addresses as it is. Values are put in all at once, so
one that looks like a place is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLACE = re.compile(r"PLACE-([a-z]+[0-9]*)-ECALP")


def place(name: str) -> str:
    """Stands for a value: `name` is lower-case letters, and a number if there are several."""
    return f"PLACE-{name}-ECALP"


def fill(markup: str, values: Mapping[str, str]) -> str:
    """The markup with its values, which must be escaped. Raises `KeyError` for a place without a value."""
    return _PLACE.sub(lambda found: values[found[1]], markup)
