"""A wheel becomes a layer once per instance; what is lost is found out and made again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from images.building import pipeline, pipeline_workers
from images.jobs import alteration as locking
from images.jobs import repositories
from images.models import BaseImage, BuildLayer, CachedLayer, ManagedImage, Status
from images.operations import alterations, builds, removal
from images.queries.library_changes import changes
from images.registry import connection
from images.registry.distribution.client import RegistryClient
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def _empty_disk(registry: LocalAWS, settings: Any, tmp_path: Path) -> None:
    """A worker on a machine that has built nothing yet."""
    settings.CACHE_DIR = tmp_path / "cache"


def log_of(image: ManagedImage) -> str:
    build = image.builds.latest("number")
    return "".join(chunk.text for chunk in build.log_chunks.all())


def forbid_making(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("a layer that is known was to be made again")

    monkeypatch.setattr(pipeline, "fetch", never)
    monkeypatch.setattr(pipeline_workers, "LayerMakers", never)


def forget_the_disk() -> None:
    shutil.rmtree(django_settings.CACHE_DIR, ignore_errors=True)


@pytest.mark.usefixtures("_empty_disk")
def test_a_second_image_on_an_empty_disk_only_mounts(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_now(registry, ask(cast, "mem-first", "pyjokes==0.6.0"))
    forget_the_disk()
    forbid_making(monkeypatch)
    second = build_now(registry, ask(cast, "mem-second", "pyjokes==0.6.0"))
    assert first.current_build is not None
    assert second.current_build is not None
    assert second.status == Status.READY
    assert second.current_build.config_digest == first.current_build.config_digest
    assert "mounted pyjokes 0.6.0" in log_of(second)
    assert second.current_build.pushed_bytes < 50_000
    assert CachedLayer.objects.filter(title="pyjokes 0.6.0").count() == 1


@pytest.mark.usefixtures("_empty_disk")
def test_only_what_is_new_is_made(cast: Cast, debian: BaseImage, registry: LocalAWS) -> None:
    build_now(registry, ask(cast, "delta-a", "pyjokes==0.6.0"))
    forget_the_disk()
    more = build_now(registry, ask(cast, "delta-b", "pyjokes==0.6.0\nsix==1.17.0"))
    log = log_of(more)
    assert "mounted pyjokes 0.6.0" in log
    assert "six 1.17.0 → a layer of" in log
    assert "pyjokes 0.6.0 → a layer" not in log


@pytest.mark.usefixtures("_empty_disk")
def test_a_rebuild_of_the_same_lock_is_a_manifest_push(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = build_now(registry, ask(cast, "again", "pyjokes==0.6.0"))
    forget_the_disk()
    forbid_making(monkeypatch)
    monkeypatch.setattr(RegistryClient, "mount_blob", None)
    upload = RegistryClient.upload_blob

    def upload_small(
        self: RegistryClient, repository: str, digest: str, size: int, *rest: Any, **options: Any
    ) -> None:
        assert size < 50_000, "only SBOM and provenance are new"
        upload(self, repository, digest, size, *rest, **options)

    monkeypatch.setattr(RegistryClient, "upload_blob", upload_small)
    builds.rebuild_image(Actor(cast.member), image)
    image = build_now(registry, image)
    assert image.current_build is not None
    assert (image.status, image.current_build.number) == (Status.READY, 2)
    assert "Nothing has changed since build 1" in log_of(image)
    assert image.current_build.pushed_bytes < 50_000


@pytest.mark.usefixtures("_empty_disk")
def test_a_layer_whose_only_repository_is_gone_comes_from_the_cache_or_is_made_again(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    def gone(name: str) -> None:
        image = ManagedImage.objects.get(name=name)
        removal.remove_image(Actor(cast.admin), name)
        with registry.identity("registry-server"):
            repositories.delete_repository(image.pk)

    build_now(registry, ask(cast, "lost-a", "pyjokes==0.6.0"))
    gone("lost-a")
    cached = build_now(registry, ask(cast, "lost-b", "pyjokes==0.6.0"))
    assert "uploaded pyjokes 0.6.0" in log_of(cached)
    assert "→ a layer" not in log_of(cached)
    gone("lost-b")
    forget_the_disk()
    remade = build_now(registry, ask(cast, "lost-c", "pyjokes==0.6.0"))
    assert remade.status == Status.READY
    assert "pyjokes 0.6.0 is no longer in the registry, so it is made again." in log_of(remade)


@pytest.mark.usefixtures("_empty_disk")
def test_a_repository_that_was_emptied_behind_our_back_breaks_nothing(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    build_now(registry, ask(cast, "behind-a", "pyjokes==0.6.0"))
    with registry.identity("registry-server"):
        connection.control().delete_repository("rime-managed-images/behind-a")
    forget_the_disk()
    image = build_now(registry, ask(cast, "behind-b", "pyjokes==0.6.0"))
    assert image.status == Status.READY


@pytest.mark.usefixtures("_empty_disk")
def test_where_mounting_is_off_blobs_are_copied(
    cast: Cast, debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_now(registry, ask(cast, "copy-a", "pyjokes==0.6.0"))
    forget_the_disk()
    monkeypatch.setattr(RegistryClient, "mount_blob", lambda *arguments, **options: False)
    image = build_now(registry, ask(cast, "copy-b", "pyjokes==0.6.0"))
    assert image.status == Status.READY
    assert "copied pyjokes 0.6.0" in log_of(image)
    assert "copied base layer" in log_of(image)


@pytest.mark.usefixtures("_empty_disk")
def test_altered_and_rolled_back_the_image_is_the_first_one_again(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    actor = Actor(cast.member)
    image = build_now(registry, ask(cast, "turning", "pyjokes==0.6.0"))
    first = image.current_build
    assert first is not None
    more = ImageSpec("all", "3.11", tuple(parse_pip_requirements("pyjokes==0.6.0\nsix==1.17.0")))
    alteration = alterations.propose_alteration(actor, image, more)
    locking.run_alteration(alteration.pk)
    alteration.refresh_from_db()
    assert [change.name for change in changes(first.lock, alteration.lock)] == ["six"]
    alterations.alter_image(actor, alteration)
    image = build_now(registry, image)
    assert image.current_build is not None
    assert image.current_build.manifest_digest != first.manifest_digest
    builds.roll_back_image(actor, image, 1)
    image = build_now(registry, image)
    assert image.current_build is not None
    assert image.current_build.manifest_digest == first.manifest_digest
    assert "Nothing has changed since build 1" in log_of(image)


@pytest.mark.usefixtures("_empty_disk")
def test_two_workers_that_know_nothing_make_the_same_image_of_the_same_lock(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    first = build_now(registry, ask(cast, "empty-a", "pyjokes==0.6.0"))
    assert first.current_build is not None
    BuildLayer.objects.all().delete()
    CachedLayer.objects.all().delete()
    forget_the_disk()
    second = ask(cast, "empty-b", "pyjokes==0.6.0")
    second.builds.update(lock=first.current_build.lock)
    second = build_now(registry, second)
    assert second.current_build is not None
    assert "pyjokes 0.6.0 → a layer of" in log_of(second)
    assert second.current_build.config_digest == first.current_build.config_digest
