"""`manage.py pull_image` brings an image to this disk without any container tool."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from images.building.bases.from_layout import from_oci_layout
from images.models import BaseImage, ManagedImage, Status
from ri_platform.local import identity
from ri_platform.settings import env
from tests import factories
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS


def test_what_cannot_be_pulled_is_a_sentence(base: BaseImage, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no managed image named nothing"):
        call_command("pull_image", "nothing", tmp_path / "nothing")
    factories.make_image("broken", base=base, status=Status.FAILED)
    with pytest.raises(CommandError, match="broken has no image yet"):
        call_command("pull_image", "broken", tmp_path / "broken")
    factories.make_image("churn", base=base)
    with pytest.raises(CommandError, match="churn has no build 7 that succeeded"):
        call_command("pull_image", "churn", tmp_path / "churn", build=7)
    with pytest.raises(CommandError, match="exists already"):
        call_command("pull_image", "churn", tmp_path)


def test_the_prompts_identity_is_the_local_one_beside_make_run_alone(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STATE_DIR = tmp_path
    (tmp_path / "aws.env").write_text("AWS_ACCESS_KEY_ID=local\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setattr(env, "beside_make_run", True)
    identity.take_identity()
    assert os.environ["AWS_ACCESS_KEY_ID"] == "somebody"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setattr(env, "beside_make_run", False)
    identity.take_identity()
    assert "AWS_ACCESS_KEY_ID" not in os.environ
    monkeypatch.setattr(env, "beside_make_run", True)
    identity.take_identity()
    assert os.environ["AWS_ACCESS_KEY_ID"] == "local"


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_an_image_becomes_a_layout_that_reads_as_the_same_image(
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = build_now(registry, ask(cast, "to-be-pulled", "pyjokes==0.6.0"))
    folder = tmp_path / "layout"
    with registry.identity("build-jobs"):
        call_command("pull_image", image.name, folder, build=1)
    pulled = from_oci_layout(folder, work=tmp_path)
    current = ManagedImage.objects.get(name=image.name).current_build
    assert current is not None
    assert pulled.manifest.digest == current.manifest_digest
    assert f"{len(pulled.layers)} layers" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("pull_image", image.name, tmp_path / "unauthorized")
    assert not (tmp_path / "unauthorized").exists()
