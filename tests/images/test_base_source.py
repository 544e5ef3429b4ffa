"""Sources of base images as text: read, written and refused."""

from __future__ import annotations

import pytest

from images.building.bases.source import FETCH
from images.catalogue import catalogue
from images.models.base_source import CATALOGUE, KINDS, REGISTRY, SUITE, Source
from ri_platform.errors import Invalid


def test_a_source_is_read_from_its_text_and_written_as_it_was() -> None:
    source = Source.parse("registry:host:5000/a/python:3.11-slim | suite:bookworm")
    assert source == Source(REGISTRY, "host:5000/a/python:3.11-slim", Source(SUITE, "bookworm"))
    assert str(source) == "registry:host:5000/a/python:3.11-slim | suite:bookworm"
    assert source.kinds == [REGISTRY, SUITE]


@pytest.mark.parametrize(
    "text", ["", "bookworm", "suite:", "ftp:/x", "registry:python:3.11 | ", "registry:a | b:c"]
)
def test_a_text_that_names_no_source_is_refused_with_the_kinds_there_are(text: str) -> None:
    with pytest.raises(Invalid, match="is not a source of base images") as refused:
        Source.parse(text)
    assert refused.value.hint == (
        "Use registry:, layout:, rootfs:, suite: or catalogue:, each followed by its name."
    )


@pytest.mark.parametrize(
    "text", ["catalogue:nlp | suite:bookworm", "suite:bookworm | catalogue:nlp"]
)
def test_the_catalogue_has_no_alternative(text: str) -> None:
    with pytest.raises(Invalid, match="has no alternative"):
        Source.parse(text)


@pytest.mark.parametrize(
    ("text", "moves"),
    [
        ("registry:python:3.11", True),
        ("registry:python", True),
        ("registry:python@sha256:" + "0" * 64, False),
        ("registry:python:3.11 | suite:bookworm", False),
        ("suite:bookworm", False),
    ],
)
def test_a_tag_of_a_registry_alone_can_move(text: str, moves: bool) -> None:
    assert Source.parse(text).has_moving_tag is moves


def test_the_engine_fetches_every_kind_that_is_imported() -> None:
    assert set(FETCH) == {kind.word for kind in KINDS.values() if kind.is_imported}


def test_the_catalogue_builds_use_cases_and_imports_roots() -> None:
    assert catalogue().source("nlp", "3.11") == "catalogue:nlp"
    root = Source.parse(catalogue().source("all", "3.11"))
    assert CATALOGUE not in root.kinds
