"""The engine's phases, and their names in a build."""

from __future__ import annotations

from images.building.phases import PipelinePhase
from images.models import BuildPhase


def test_each_phase_of_the_pipeline_is_one_of_a_build() -> None:
    assert {BuildPhase(phase).value for phase in PipelinePhase} == set(PipelinePhase)
