"""What workers try for the doctor, each under its own identity, with the local AWS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from images.doctor import there
from images.doctor.findings import Finding, State, ok
from images.models import Instance
from ri_platform.local import services
from tests import factories
from tests.local_aws import LocalAWS

TRIAL = 4711


def states(findings: Iterator[Finding]) -> list[State]:
    return [finding.state for finding in findings]


@pytest.fixture
def instance(db: None) -> Instance:
    return factories.make_instance()


# --- AWS ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_image_goes_to_a_repository_of_its_own_and_nothing_is_left(
    registry: LocalAWS, instance: Instance
) -> None:
    with registry.identity("registry-server"):
        assert states(there.registry_server(TRIAL)) == [State.OK, State.OK, State.OK]
    with registry.identity("build-jobs"):
        assert states(there.push_and_pull(TRIAL)) == [State.OK]
    with registry.identity("registry-server"):
        assert states(there.clean_up(TRIAL)) == [State.OK]
    assert (
        registry.control("registry-server").delete_repository(there.trial_repository(TRIAL))
        is False
    )


@pytest.mark.slow
def test_an_identity_that_may_not_is_told_with_what_aws_refused(
    registry: LocalAWS, instance: Instance
) -> None:
    with registry.identity("build-jobs"):
        token, mark = there.registry_server(TRIAL)
        (repository,) = there.try_repository(TRIAL)
        (removal,) = there.clean_up(TRIAL)
    assert token.state == State.OK
    assert {finding.state for finding in (mark, repository, removal)} == {State.FAILED}
    assert "AWS refused ecr:DescribeImages" in mark.found
    assert "AWS refused ecr:CreateRepository" in repository.found
    assert there.trial_repository(TRIAL) in removal.to_do


@pytest.mark.slow
def test_a_push_without_the_repository_fails_in_words(
    registry: LocalAWS, instance: Instance
) -> None:
    with registry.identity("build-jobs"):
        (finding,) = there.push_and_pull(TRIAL + 1)
    assert finding.state == State.FAILED
    assert finding.to_do


@pytest.mark.slow
def test_a_worker_without_an_identity_is_told_so(registry: LocalAWS) -> None:
    (finding,) = there.check_authorization("Builds worker")
    assert finding.state == State.FAILED
    assert "has no AWS identity" in finding.found


# --- disk and index -----------------------------------------------------------------------------------------


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("free", "state"),
    [(20_000_000_000, State.OK), (5_000_000_000, State.WARNING), (1_000_000_000, State.FAILED)],
)
def test_a_disk_is_as_good_as_what_is_free_on_it(
    free: int, state: State, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHE_DIR = tmp_path / "cache"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free, 0, free))
    finding = there.disk()
    assert finding.state == state
    assert f"{free / 1e9:.1f} GB" in finding.found


def test_a_cache_that_cannot_be_written_fails_with_what_to_mount(
    settings: Any, tmp_path: Path
) -> None:
    settings.CACHE_DIR = tmp_path / "file"
    settings.CACHE_DIR.touch()
    finding = there.disk()
    assert finding.state == State.FAILED
    assert "RI_CACHE_DIR" in finding.to_do


@pytest.mark.slow
def test_an_index_that_does_not_answer_fails_with_the_variables_to_look_at(settings: Any) -> None:
    settings.PACKAGE_INDEX_URL = f"http://127.0.0.1:{services.free_port()}/simple"
    finding = there.package_index()
    assert finding.state == State.FAILED
    assert "RI_PACKAGE_INDEX_URL" in finding.to_do


# --- the way back -------------------------------------------------------------------------------------------


def test_a_workers_findings_reach_the_doctor(db: None) -> None:
    there.begin(TRIAL)
    assert there.answer_of(TRIAL, "builds") is None
    there.answer(TRIAL, "builds", lambda: iter([ok("Builds worker: disk", "It is large.")]))
    assert there.answer_of(TRIAL, "builds") == [ok("Builds worker: disk", "It is large.")]


def test_a_trial_that_is_over_is_left_alone(db: None) -> None:
    there.begin(TRIAL)
    there.end(TRIAL)
    there.answer(TRIAL, "builds", lambda: pytest.fail("It was tried."))
    assert there.answer_of(TRIAL, "builds") is None


def test_a_trial_that_breaks_is_a_finding_beside_those_before_it(db: None) -> None:
    def break_down() -> Iterator[Finding]:
        yield ok("Builds worker: disk", "It is large.")
        raise ValueError("no such thing")

    there.begin(TRIAL)
    there.answer(TRIAL, "builds", break_down)
    found = there.answer_of(TRIAL, "builds")
    assert found is not None
    assert [item.state for item in found] == [State.OK, State.FAILED]
    assert found[1].found == "The trial broke: no such thing"
