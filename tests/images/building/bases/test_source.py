"""Fetching a base image from its source, and from the alternative where the first cannot be had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from images.building.bases.source import obtain
from images.errors import BaseImageUnusable
from ri_platform.errors import DomainError


@dataclass(frozen=True)
class Kind:
    word: str


@dataclass(frozen=True)
class Source:
    kind: Kind
    name: str
    alternative: Source | None = None


def test_the_alternative_is_fetched_where_the_first_cannot_be_had(tmp_path: Path) -> None:
    """Nothing listens on port 9; the folder is there and is no layout, and its sentence is the last."""
    nowhere = Source(
        Kind("registry"), "127.0.0.1:9/nothing:1", Source(Kind("layout"), str(tmp_path))
    )
    with pytest.raises(BaseImageUnusable, match="is not an OCI image layout"):
        obtain(nowhere, tmp_path, lambda: None)


def test_without_an_alternative_the_error_of_the_source_is_raised(tmp_path: Path) -> None:
    with pytest.raises(
        DomainError, match="'sarge' is no suite of Debian or Ubuntu that is known here"
    ):
        obtain(Source(Kind("suite"), "sarge"), tmp_path, lambda: None)
