"""`manage.py import_base_image` asks; a builds worker imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from images.models import BaseImage
from images.models.lease import WorkState
from tests import factories
from workspaces.models import AuditEvent


def ask(*arguments: str, **options: Any) -> None:
    call_command("import_base_image", *arguments, no_wait=True, **options)


def test_the_wish_is_recorded_for_the_workers(db: None) -> None:
    ask("--suite", "trixie", "--python-version", "3.13", "--platform-version", "v1")
    base = BaseImage.objects.get()
    assert (str(base), base.source, base.state) == (
        "all-python3.13 v1",
        "suite:trixie",
        WorkState.QUEUED,
    )
    assert AuditEvent.objects.get().event == "base_image.import_requested"


def test_a_version_that_is_there_is_not_imported_over(db: None) -> None:
    factories.make_base_image(platform_version="v1")
    with pytest.raises(CommandError, match=r"all-python3\.11 v1 is there already"):
        ask("--suite", "bookworm", "--python-version", "3.11", "--platform-version", "v1")


def test_a_version_that_failed_is_tried_again(db: None) -> None:
    factories.make_base_image(
        platform_version="v1", state=WorkState.FAILED, error_code="base_image_unusable", attempts=2
    )
    ask("--registry", "python:3.11", "--python-version", "3.11", "--platform-version", "v1")
    base = BaseImage.objects.get()
    assert (base.state, base.source, base.attempts) == (WorkState.QUEUED, "registry:python:3.11", 0)


def test_a_file_that_is_missing_is_a_sentence(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is nothing at .*/none.tar"):
        ask("--rootfs", str(tmp_path / "none.tar"), "--python-version", "3.11")
    assert not BaseImage.objects.exists()


def test_a_source_is_needed() -> None:
    with pytest.raises(CommandError, match="one of the arguments --registry --layout"):
        ask("--python-version", "3.11")
