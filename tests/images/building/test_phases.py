"""The engine's phases, and the boundary of the engine. These tests use no database."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from images.building.phases import PipelinePhase
from images.models import BuildPhase

BUILDING = Path(__file__).parents[3] / "images/building"
# Engine modules know no rows; the others are what workers do.
JOBS = frozenset(
    [
        "composition",
        "from_source",
        "hosts",
        "image_build",
        "image_libraries",
        "import_base",
        "journal",
        "locking",
        "outcome",
        "planning",
        "remembered",
        "run",
        "sources",
        "system_image",
        "system_layer",
        "tag_watch",
        "turns",
        "work",
    ]
)
ENGINE = sorted(path for path in BUILDING.rglob("*.py") if path.stem not in JOBS)


def imported(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_each_phase_of_the_pipeline_is_one_of_a_build() -> None:
    assert {BuildPhase(phase).value for phase in PipelinePhase} == set(PipelinePhase)


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.stem)
def test_an_engine_module_knows_no_row(path: Path) -> None:
    jobs = {f"images.building.{name}" for name in JOBS}
    for name in imported(path):
        assert not name.startswith(("images.models", "images.operations.images")), name
        assert not name.startswith("django") or name in ("django.conf", "django.conf.settings"), (
            name
        )
        assert name not in jobs, name
