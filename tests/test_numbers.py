"""A number from outside is one that a column can hold, or none."""

from __future__ import annotations

from typing import Literal

import pytest

from ri_platform.numbers import number_of


@pytest.mark.parametrize(
    ("given", "bits", "number"),
    [
        ("0", 31, 0),
        ("17", 31, 17),
        ("007", 31, 7),
        (17, 31, 17),
        ("2147483647", 31, 2**31 - 1),
        ("2147483648", 31, None),
        ("2147483648", 63, 2**31),
        (2**63 - 1, 63, 2**63 - 1),
        ("9223372036854775808", 63, None),
        (2**63, 63, None),
        ("9" * 5000, 63, None),
        (-1, 31, None),
        ("-1", 31, None),
        ("+1", 31, None),
        (" 1", 31, None),
        ("1_0", 31, None),
        ("1.0", 31, None),
        ("\u0663", 31, None),
        ("\u00b2", 31, None),
        ("", 31, None),
        ("one", 31, None),
    ],
)
def test_a_number_fits_its_column(
    given: str | int, bits: Literal[31, 63], number: int | None
) -> None:
    assert number_of(given, bits) == number
