"""What was resolved a moment ago is not resolved again, for the same question of the same asker alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from images.build_keys import resolution_key
from images.errors import PackageNotAllowed
from images.indexes import Indexes
from images.jobs.spec_lock import lock_spec
from images.models import BaseImage, KeptResolution
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from ri_platform.errors import DomainError
from tests.images.building.private_index import SECRET, index_of, private_index
from tests.images.building.wheelmaker import make_wheel

pytestmark = pytest.mark.django_db

SPEC = ImageSpec("all", "3.11", tuple(parse_pip_requirements("private-lib")))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))


@pytest.fixture
def private(tmp_path: Path, settings: Any) -> Iterator[None]:
    """The instance's index, which asks for a name and a password."""
    with private_index(make_wheel(tmp_path, "private_lib")) as address:
        settings.PACKAGE_INDEX_URL = f"http://team:{SECRET}@{address}/simple"
        yield


def lock(base: BaseImage, spec: ImageSpec = SPEC, *, anew: bool = False) -> list[str]:
    """What the log says of locking a spec."""
    said: list[str] = []
    lock_spec(spec, base, log=said.append, check=lambda: None, anew=anew)
    return said


TAKEN = "The same was resolved a moment ago: its lock is taken."


@pytest.mark.slow
def test_the_second_build_of_a_spec_needs_no_resolver(private: None, base: BaseImage) -> None:
    assert TAKEN not in lock(base)
    assert lock(base) == [TAKEN]
    assert "s3cr" not in "".join(KeptResolution.objects.values_list("lock", flat=True))


@pytest.mark.slow
def test_a_rebuild_asks_the_index_and_what_it_says_counts_from_then(
    base: BaseImage, tmp_path: Path, settings: Any
) -> None:
    old, new = make_wheel(tmp_path, "private_lib"), make_wheel(tmp_path, "private_lib", "2.0")
    with index_of(old) as address:
        settings.PACKAGE_INDEX_URL = f"http://{address}/simple"
        lock(base)
    with index_of(old, new) as other:
        settings.PACKAGE_INDEX_URL = f"http://{other}/simple"
        lock(base)
    assert KeptResolution.objects.count() == 2
    KeptResolution.objects.exclude(lock__contains='version = "2.0"').delete()
    assert lock(base) == [TAKEN]
    with pytest.raises(DomainError):
        lock(base, anew=True)  # The index is away by now.


@pytest.mark.slow
def test_it_is_taken_for_as_long_as_the_setting_says(
    private: None, base: BaseImage, settings: Any
) -> None:
    lock(base)
    KeptResolution.objects.update(resolved_at=timezone.now() - timedelta(seconds=61))
    assert TAKEN not in lock(base)
    settings.INDEX_PAGES_SECONDS = 0
    assert TAKEN not in lock(base)


@pytest.mark.slow
def test_old_ones_are_dropped(private: None, base: BaseImage) -> None:
    KeptResolution.objects.create(
        key="old", lock="x", resolved_at=timezone.now() - timedelta(hours=1)
    )
    lock(base)
    assert not KeptResolution.objects.filter(key="old").exists()


def test_everything_that_decides_a_resolution_tells_it_from_others(
    base: BaseImage, settings: Any
) -> None:
    def key(spec: ImageSpec = SPEC, **columns: Any) -> str:
        other = BaseImage.objects.get(pk=base.pk)
        for name, value in columns.items():
            setattr(other, name, value)
        return resolution_key(spec, other, Indexes.from_settings().choose(spec.indexes))

    settings.PACKAGE_EXTRA_INDEX_URLS = ["internal=https://team:one@index.example/simple"]
    keys = [
        key(),
        key(replace(SPEC, allow_prereleases=True)),
        key(replace(SPEC, pip_requirements=tuple(parse_pip_requirements("private-lib>=1")))),
        key(libc="musl"),
        key(libc="glibc", libc_version="2.17"),
        key(libraries=[["private-lib", "1.0"]]),
        key(python_version="3.13"),
    ]
    settings.PACKAGE_EXPLICIT_INDEXES = ["internal"]
    keys += [key(), key(replace(SPEC, indexes=("internal",)))]
    settings.PACKAGE_EXPLICIT_INDEXES = []
    settings.PACKAGE_INDEX_PACKAGES = ["internal=private-*"]
    keys.append(key())
    settings.PACKAGE_INDEX_PACKAGES = []
    assert keys[0] == key() == keys[8]
    others = keys[:8] + keys[9:]
    assert len(set(others)) == len(others)


@pytest.mark.slow
def test_whoever_has_another_password_sees_nothing_of_it(
    private: None, base: BaseImage, settings: Any
) -> None:
    lock(base)
    settings.PACKAGE_INDEX_URL = settings.PACKAGE_INDEX_URL.replace(SECRET, "guessed")
    with pytest.raises(DomainError):
        lock(base)


@pytest.mark.slow
def test_a_library_that_was_forbidden_meanwhile_is_refused(
    private: None, base: BaseImage, settings: Any
) -> None:
    lock(base)
    settings.PACKAGE_DENY = ["private-*"]
    with pytest.raises(PackageNotAllowed):
        lock(base)
