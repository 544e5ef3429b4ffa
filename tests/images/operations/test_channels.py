"""Tags that move: `latest` follows the current build, and a channel stays where an owner pointed it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.urls import reverse

from images.errors import TagTaken
from images.jobs import moving_tags, retention, sweep
from images.models import BaseImage, ManagedImage, MovingTag, Status
from images.operations import alterations, builds
from images.operations.channels import set_channel
from images.registry.distribution.descriptors import OCI_MANIFEST
from images.requirements import PipRequirement
from ri_platform.errors import Conflict, Invalid, NotAllowed, NotFound
from tests import factories
from tests.builds import ask as ask_for
from tests.builds import build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS
from workspaces.access import Actor
from workspaces.models import AuditEvent


@pytest.fixture
def image(cast: Cast, base: BaseImage) -> ManagedImage:
    """Three builds, of which the newest is current."""
    image = factories.make_image("churn", base=base, created_by=cast.member)
    for number in (2, 3):
        image.current_build = factories.make_build(
            image, base, Status.READY, number=number, manifest_digest=factories.digest(number)
        )
    image.tags_may_move = True
    image.save()
    return image


def test_an_owner_points_a_channel_at_a_build(cast: Cast, image: ManagedImage) -> None:
    actor = Actor(cast.member)
    assert set_channel(actor, image, "stable", 2).build.number == 2
    tag = set_channel(actor, image, "stable", 3)
    assert (tag.build.number, tag.is_pushed, image.moving_tags.count()) == (3, False, 1)
    details = [event.details for event in AuditEvent.objects.filter(event="image.channel_set")]
    assert {"channel": "stable", "build": 3, "before": 2} in details
    with pytest.raises(NotAllowed):
        set_channel(Actor(cast.stranger), image, "stable", 2)


@pytest.mark.parametrize(
    "name", ["latest", "build-1", "sha256-1", "Stable", "beta", "channel-", "channel-build-1", "a b",
             "channel-" + "x" * 30]
)  # fmt: skip
def test_other_tags_are_no_channels(name: str, cast: Cast, image: ManagedImage) -> None:
    with pytest.raises(Invalid, match="is no channel"):
        set_channel(Actor(cast.member), image, name, 2)


def test_a_channel_points_only_at_what_the_registry_keeps(
    cast: Cast, image: ManagedImage, settings: Any
) -> None:
    settings.KEEP_BUILDS = 1
    actor = Actor(cast.member)
    with pytest.raises(Conflict, match="no longer kept"):
        set_channel(actor, image, "channel-eu", 1)
    with pytest.raises(NotFound):
        set_channel(actor, image, "stable", 9)
    ManagedImage.objects.update(tags_may_move=False)
    with pytest.raises(Conflict, match="lets no tag move"):
        set_channel(actor, image, "stable", 3)


@pytest.mark.slow
def test_what_a_channel_points_at_is_kept(cast: Cast, image: ManagedImage, settings: Any) -> None:
    settings.KEEP_BUILDS = 2
    set_channel(Actor(cast.member), image, "stable", 2)
    MovingTag.objects.update(pushed_build=image.builds.get(number=2))
    settings.KEEP_BUILDS = 1
    assert retention.read_retention_state(image).superseded == {1}
    # Until the registry has the tag elsewhere, both are kept.
    set_channel(Actor(cast.member), image, "stable", 3)
    assert retention.read_retention_state(image).superseded == {1}
    MovingTag.objects.update(pushed_build=image.builds.get(number=3))
    assert retention.read_retention_state(image).superseded == {1, 2}


@pytest.mark.slow
def test_the_sweeper_wakes_for_a_tag_that_is_behind(
    cast: Cast, image: ManagedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr("images.wake.send", lambda task, pk: sent.append((task.function, pk)))
    tag = set_channel(Actor(cast.member), image, "stable", 3)
    MovingTag.objects.update(due_at=tag.set_at)
    sweep.sweep()
    sweep.sweep()
    assert sent == [("move_tags", image.pk)]


@pytest.mark.slow
def test_the_page_shows_tags_and_moves_them(cast: Cast, image: ManagedImage) -> None:
    names = {"workspace_id": cast.workspace.pk, "name": "churn"}
    client = cast.client(cast.member)
    answer = client.post(reverse("set_channel", kwargs=names), {"channel": "stable", "build": "2"})
    assert answer.status_code == 302
    page = client.get(reverse("image_revisions", kwargs=names)).content.decode()
    assert "stable" in page
    assert "(moving)" in page
    assert "Point stable at build 3" in page
    theirs = cast.client(cast.stranger)
    assert b"Point stable" not in theirs.get(reverse("image_revisions", kwargs=names)).content


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_the_registry_has_the_tags_where_the_rows_say(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    actor, repository = Actor(cast.member), "rime-managed-images/moving"
    image = build_now(registry, ask_for(cast, "moving", "six==1.16.0"))
    pk = image.pk

    def tags() -> dict[str, str]:
        with registry.identity("build-jobs"):
            moving_tags.move_tags(pk)
        with registry.client() as client:
            found = {name: client.head_manifest(repository, name) for name in ("latest", "stable")}
        return {name: item.digest for name, item in found.items() if item}

    first = image.builds.get(number=1).manifest_digest
    assert tags() == {"latest": first}
    set_channel(actor, image, "stable", 1)
    wanted = replace(image.spec, pip_requirements=(PipRequirement("six", "==1.17.0"),))
    alterations.alter_image_unseen(actor, image, wanted)
    image = build_now(registry, image)
    second = image.builds.get(number=2).manifest_digest
    assert tags() == {"latest": second, "stable": first}
    builds.roll_back_image(actor, image, 1)
    image = build_now(registry, image)
    assert tags() == {"latest": first, "stable": first}
    assert all(tag.is_pushed for tag in image.moving_tags.all())
    # The tag of a build stays, also in the local AWS.
    with registry.client() as client:
        raw = client.get_manifest(repository, second).raw
        with pytest.raises(TagTaken):
            client.put_manifest(repository, "build-1", raw, OCI_MANIFEST)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_a_repository_of_before_keeps_its_tags_and_says_so(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    image = build_now(registry, ask_for(cast, "older", "six"))
    MovingTag.objects.update(pushed_build=None)
    with registry.client() as client:
        sbom = client.get_manifest("rime-managed-images/older", "build-1-sbom")
        client.put_manifest("rime-managed-images/older", "elsewhere", sbom.raw, sbom.media_type)
    # A tag that is kept where it is stands for any tag of an immutable repository.
    MovingTag.objects.update(name="elsewhere")
    with registry.identity("build-jobs"):
        moving_tags.move_tags(image.pk)
    image.refresh_from_db()
    assert image.tags_may_move is False
    assert "keeps the tag where it is" in image.moving_tags.get().error
