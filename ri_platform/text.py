"""Allowed characters of user input, in names (one line) and in texts of several lines.

A form takes a name by `OneLineField`, the API by `ri_platform.api.Line`.
"""

from __future__ import annotations

import re

from django import forms
from django.core.validators import RegexValidator
from django.db.models import Model

# Refused: the control characters (C0, DEL and C1: tabs, line ends, NUL), U+2028 and U+2029, which end a line,
# and direction marks (UAX 9), which can make a name look like another.
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
# Text of several lines may have tabs and line ends.
SEVERAL_LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
# The messages of refusals by pattern.
REFUSALS = {
    ONE_LINE: "It has a control character, like a tab or a line end, which cannot stand here",
    SEVERAL_LINES: "It has a control character other than tabs and line ends, which cannot stand here",
}

# `$` would let a trailing line end through in Python; `\Z` is the end and nothing else.
one_line = RegexValidator(
    re.compile(ONE_LINE.replace("$", r"\Z")), f"{REFUSALS[ONE_LINE]}.", "control_character"
)


class OneLineField(forms.CharField):
    """A form's field for a name, or for other text of one line."""

    default_validators = [one_line]


def column_length(model: type[Model], field: str) -> int:
    """The maximum length of a column, as the limit of a field for it."""
    length: int | None = getattr(model._meta.get_field(field), "max_length", None)
    if length is None:
        raise ValueError(f"{model.__name__}.{field} has no limit.")
    return length
