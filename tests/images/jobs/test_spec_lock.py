"""Locking a spec: what is said where a library has no wheel, and where source builds are made."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from images.errors import NoWheel
from images.jobs import spec_lock
from images.jobs.spec_lock import source_builds
from images.models import BaseImage
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec

pytestmark = pytest.mark.django_db

SPEC = ImageSpec("all", "3.11", tuple(parse_pip_requirements("pyspark==3.5.0")))


@pytest.fixture(autouse=True)
def _without_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*arguments: object, **options: object) -> None:
        raise NoWheel("pyspark has none.", hint="Choose another.")

    monkeypatch.setattr(spec_lock, "resolve", resolve)


def hint_of(base: BaseImage, spec: ImageSpec) -> str:
    with pytest.raises(NoWheel, match="pyspark has none") as caught:
        spec_lock.lock_spec(spec, base, log=lambda line: None, check=lambda: None)
    return caught.value.hint


def test_building_from_source_is_named_for_every_entrance(
    base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spec_lock, "source_builds_refusal", lambda: "")
    hint = hint_of(base, SPEC)
    assert hint.startswith("Choose another. Or have it built from source")
    for words in ("Build from source in", "allowSource", "--allow-source"):
        assert words in hint


def test_building_from_source_is_not_named_where_it_cannot_be_had(base: BaseImage) -> None:
    assert hint_of(base, SPEC) == "Choose another."  # No worker can.
    assert hint_of(base, replace(SPEC, allow_source=True)) == "Choose another."


def test_a_musl_base_builds_nothing_from_source_and_the_log_says_why(tmp_path: Path) -> None:
    spec = ImageSpec("all", "3.11", allow_source=True)
    said: list[str] = []

    def asked(libc: str) -> bool:
        base = BaseImage(libc=libc, libc_version="1.2.5")
        return bool(
            source_builds(spec, base, tmp_path, ExitStack(), log=said.append, check=lambda: None)
        )

    assert not asked("musl")
    assert said == [
        "Nothing is built from source: that takes a base image with glibc, and this one has musl."
    ]
    assert asked("glibc")
