"""What the doctor says of a builds worker's abilities agrees with what the worker and the form go by."""

from __future__ import annotations

from typing import Any

import pytest

from images.building.bases import mmdebstrap, unpacked_debian
from images.building.containers import container
from images.doctor import abilities
from images.doctor.findings import State

NO_REMOUNT = "The builds workers cannot make sandboxes: remount /: invalid argument"


@pytest.mark.slow
def test_it_says_what_the_worker_reports_to_the_form() -> None:
    for finding, problem in (
        (abilities.os_packages(), container.problem()),
        (abilities.source_builds(), container.confinement_problem()),
    ):
        if problem:
            assert (finding.state, finding.found) == (State.SKIPPED, problem)
        else:
            assert finding.state == State.OK


@pytest.mark.parametrize(
    ("asked", "name"),
    [(abilities.os_packages, "problem"), (abilities.source_builds, "confinement_problem")],
)
def test_what_cannot_be_done_is_told_with_its_reason_and_never_called_fine(
    asked: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, name, lambda: NO_REMOUNT)
    finding = asked()
    assert (finding.state, finding.found) == (State.SKIPPED, NO_REMOUNT)
    assert "deploy/README.md" in finding.to_do


def test_source_builds_that_are_turned_off_are_not_tried(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SOURCE_BUILDS_ALLOWED = False
    monkeypatch.setattr(container, "confinement_problem", lambda: pytest.fail("It was tried."))
    assert abilities.source_builds().found == "Source builds are turned off."


def test_debian_bases_without_mmdebstrap_are_told_the_other_way_or_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = mmdebstrap.Problem("mmdebstrap is not installed.", "Install mmdebstrap.")
    monkeypatch.setattr(mmdebstrap, "problem", lambda: refused)
    monkeypatch.setattr(unpacked_debian, "problem", lambda: "")
    assert abilities.debian_bases().state == State.OK
    monkeypatch.setattr(unpacked_debian, "problem", lambda: "It has no apt-get.")
    finding = abilities.debian_bases()
    assert finding.state == State.SKIPPED
    assert finding.found == "mmdebstrap is not installed. It has no apt-get."
    assert finding.to_do.endswith("Install mmdebstrap.")
