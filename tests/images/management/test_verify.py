"""`manage.py verify`: findings as text and JSON, the exit status, and going on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from images.jobs import verification
from images.management.commands import verify
from images.models import BaseImage, ManagedImage, UnknownRepository, Verification
from images.models.instance import MarkState
from images.models.lease import WorkState
from tests import factories
from tests.images.verification import pushed
from tests.images.verification.workers import Workers, workers_with_registers
from tests.local_aws import LocalAWS
from tests.permissions import without
from workspaces.models import AuditEvent

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def registry(empty_registry: LocalAWS) -> LocalAWS:
    return empty_registry


@pytest.fixture
def workers(registry: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """They work while the command waits."""
    found = workers_with_registers(registry, monkeypatch)
    monkeypatch.setattr(verify, "sleep", lambda seconds: found.work())
    return found


@pytest.fixture
def image(registry: LocalAWS, workers: Workers, tmp_path: Path) -> ManagedImage:
    base = pushed.push_base(registry, tmp_path)
    image = pushed.push_ready(registry, "sound", base, tmp_path)
    event = {"event": "image.created", "object_type": "managed_image", "object_name": "sound"}
    AuditEvent.objects.create(**event)
    return image


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        call_command("verify", *arguments)
    return int(str(ended.value.code))


def test_a_sound_instance(image: ManagedImage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "2 of 2 images, 0 findings." in capsys.readouterr().out
    assert AuditEvent.objects.filter(event="registry.verification_requested").exists()
    image.refresh_from_db()
    assert image.entered_at is not None


def test_findings_as_json(
    image: ManagedImage, registry: LocalAWS, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.HEAL_DRIFT = False
    registry.control("registry-server").delete_repository(f"{pushed.PREFIX}/sound")
    assert run("--json", "--deep") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["sound"], told["deep"], told["images"]) == (False, True, 2)
    (finding,) = told["findings"]
    assert (finding["code"], finding["subject"], finding["build"]) == (
        "repository_missing", "sound", 1,
    )  # fmt: skip


def test_names_that_an_operator_has_are_looked_for(
    image: ManagedImage, registry: LocalAWS, tmp_path: Path
) -> None:
    pushed.push(registry, "before-names", tmp_path, tags=["build-1"])
    assert run() == 0
    names = tmp_path / "names.txt"
    names.write_text(f"{pushed.PREFIX}/before-names\n{pushed.PREFIX}/sound Not-A_name /etc\n")
    assert run("--names-from", str(names)) == 1
    assert UnknownRepository.objects.get().builds == ["1"]


def test_it_goes_on_where_it_was_interrupted(
    image: ManagedImage, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = verification.begin()
    workers.waiting.clear()
    with workers.aws.identity("build-jobs"):
        verification.look_at_images(begun.pk)
    workers.waiting.clear()
    Verification.objects.update(stage="base_images")
    workers.waiting.append((verification.task_of(begun), begun.pk))
    assert run() == 0
    assert f"Going on with verification {begun.pk}" in capsys.readouterr().err
    assert Verification.objects.count() == 1
    begun = verification.begin()
    assert run("--anew") == 0
    begun.refresh_from_db()
    assert begun.state == WorkState.CANCELLED


def test_without_workers_it_says_which_are_missing(
    db: None, base: BaseImage, sent: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="No builds worker went on") as error:
        call_command("verify", "--seconds", "0")
    assert error.value.returncode == 2


def test_beside_another_instances_mark_nothing_is_looked_at(db: None) -> None:
    factories.make_instance(MarkState.FOREIGN, marked_by="0f5a3f2e-5d0c-4b53-9d4b-3f1d6f0d7a12")
    with pytest.raises(CommandError, match="another instance") as error:
        call_command("verify")
    assert error.value.returncode == 2


def test_what_aws_refuses_is_said(
    image: ManagedImage, registry: LocalAWS, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        without(registry, "build-jobs", "ecr:BatchGetImage"),
        pytest.raises(CommandError, match="ecr:BatchGetImage") as error,
    ):
        call_command("verify", "--seconds", "0.2")
    assert error.value.returncode == 2
    assert Verification.objects.get().state == WorkState.QUEUED
