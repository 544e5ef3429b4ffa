"""When a base image moves on, its images follow by themselves, a few at a time, behind people's builds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from images.jobs import base_image, repositories, sweep, upgrades
from images.jobs import build as run
from images.models import BaseImage, Build, BuildReason, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import base_images
from images.queries import upgrade_progress
from tests import factories
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.rootfs import patched_debian
from workspaces.access import Actor
from workspaces.models import AuditEvent


def move_on(old: BaseImage) -> BaseImage:
    BaseImage.objects.filter(pk=old.pk).update(is_current=False)
    new = factories.make_base_image(platform_version="newer")
    upgrades.mark_outdated(new)
    return new


def status_of(name: str) -> str:
    return ManagedImage.objects.get(name=name).status


def test_only_images_on_the_older_base_become_outdated(base: BaseImage) -> None:
    factories.make_image("behind", base=base)
    factories.make_image("broken", base=base, status=Status.FAILED)
    other = factories.make_base_image(python_version="3.13", interpreter="/usr/bin/python3.13")
    factories.make_image("elsewhere", base=other)
    new = move_on(base)
    factories.make_image("fresh", base=new)
    assert {i.name: i.status for i in ManagedImage.objects.all()} == {
        "behind": Status.OUTDATED,
        "broken": Status.FAILED,
        "elsewhere": Status.READY,
        "fresh": Status.READY,
    }


@pytest.mark.slow
def test_a_few_are_upgraded_at_a_time_the_longest_untouched_first(
    base: BaseImage, settings: Any
) -> None:
    settings.UPGRADES_AT_ONCE = 2
    now = timezone.now()
    for age, name in enumerate(("newest", "middle", "oldest")):
        image = factories.make_image(name, base=base)
        ManagedImage.objects.filter(pk=image.pk).update(updated_at=now - timedelta(days=age))
    new = move_on(base)
    assert upgrades.dispatch() == 2
    assert upgrades.dispatch() == 0
    assert [status_of(n) for n in ("oldest", "middle", "newest")] == [
        Status.REBUILDING, Status.REBUILDING, Status.OUTDATED,
    ]  # fmt: skip
    build = Build.objects.get(image__name="oldest", number=2)
    first = Build.objects.get(image__name="oldest", number=1)
    assert (build.reason, build.base_image, build.lock) == (BuildReason.UPGRADE, new, first.lock)
    assert AuditEvent.objects.filter(event="image.upgrade_begun", username="").count() == 2


@pytest.mark.slow
def test_builds_that_people_wait_for_go_first(cast: Cast, base: BaseImage) -> None:
    factories.make_image("behind", base=base)
    new = move_on(base)
    waiting = factories.make_image("asked", base=new, status=Status.BUILDING_FIRST_TIME)
    assert upgrades.dispatch() == 0
    waiting.builds.update(state=WorkState.CANCELLED)
    assert upgrades.dispatch() == 1


@pytest.mark.slow
def test_builds_from_source_keep_no_upgrade_waiting(cast: Cast, base: BaseImage) -> None:
    """They may sleep for half an hour, and stand in a lane of their own."""
    factories.make_image("behind", base=base)
    new = move_on(base)
    slow = factories.make_image("slow", base=new, status=Status.BUILDING_FIRST_TIME)
    slow.builds.update(spec=replace(slow.spec, allow_source=True))
    assert upgrades.dispatch() == 1


@pytest.mark.slow
def test_of_a_thousand_images_no_more_than_allowed_are_under_way(
    base: BaseImage, settings: Any, django_assert_max_num_queries: Any
) -> None:
    settings.UPGRADES_AT_ONCE = 3
    factories.make_images([f"image-{number}" for number in range(1000)], base=base)
    move_on(base)
    with django_assert_max_num_queries(60):
        assert upgrades.dispatch() == 3
    (state,) = upgrade_progress.progress(BaseImage.objects.current())
    assert (state.total, state.behind, state.done, state.failed) == (1000, 1000, 0, 0)


@pytest.mark.slow
def test_operators_see_how_far_it_is(cast: Cast, base: BaseImage) -> None:
    for name in ("one", "two", "three"):
        factories.make_image(name, base=base)
    new = move_on(base)
    ManagedImage.objects.filter(name="one").delete()
    factories.make_image("one", base=new)
    ManagedImage.objects.filter(name="two").update(status=Status.FAILED)
    url = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    assert b"1 of 3 done, 1 failed" in cast.client(cast.admin).get(url).content
    assert b"being brought up to date" not in cast.client(cast.member).get(url).content


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_a_new_base_is_swapped_under_an_image_without_touching_a_wheel(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path, settings: Any
) -> None:
    image = build_now(registry, ask(cast, "follows", "pyjokes==0.6.0"))
    before = image.current_build
    assert before is not None
    newer = base_images.import_base_image(
        Actor(cast.admin), image_type="all", python_version="3.11", platform_version="test-2",
        source=f"rootfs:{patched_debian(settings.CACHE_DIR, tmp_path)}",
    )  # fmt: skip
    with registry.identity("registry-server"):
        repositories.prepare_base_repository(newer.pk)
    with registry.identity("build-jobs"):
        base_image.run(newer.pk)
    newer.refresh_from_db()
    assert newer.state == WorkState.SUCCEEDED, newer.error_message
    assert status_of("follows") == Status.OUTDATED
    # Neither wheels nor layers are at hand: they are not needed.
    settings.CACHE_DIR = tmp_path / "empty"
    sweep.sweep()
    upgrade = image.builds.get(reason=BuildReason.UPGRADE)
    with registry.identity("build-jobs"):
        run.run(upgrade.pk)
    image.refresh_from_db()
    upgrade.refresh_from_db()
    assert (image.status, image.current_build) == (Status.READY, upgrade)
    assert upgrade.lock == before.lock
    assert upgrade.manifest_digest != before.manifest_digest
    log = "".join(chunk.text for chunk in upgrade.log_chunks.all())
    assert "already there: pyjokes 0.6.0" in log
    assert "→ a layer" not in log
