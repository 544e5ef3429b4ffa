"""Removal knows who uses an image, and can be undone for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from images import wake
from images.jobs import repositories, sweep
from images.models import (
    BaseImage,
    Delivery,
    ImageEvent,
    InstalledLibrary,
    ManagedImage,
    Status,
    Webhook,
)
from images.operations import removal
from images.operations.images import create_image
from images.operations.runtime_image import Usability, usability
from images.queries.usage import use_of
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid, NotAllowed, NotFound
from tests import factories
from tests.cast import Cast
from tests.local_aws import LocalAWS
from workspaces.access import Actor
from workspaces.models import AuditEvent

KEPT = "rime-managed-images/kept"


@pytest.fixture
def kept(base: BaseImage) -> ManagedImage:
    return factories.make_image("kept", base=base)


def pane(cast: Cast) -> str:
    return reverse("images", args=[cast.workspace.pk])


# --- undo ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_removed_image_is_restored_as_it_was(cast: Cast, kept: ManagedImage) -> None:
    hook = Webhook.objects.create(
        url="https://example.org/", events=[ImageEvent.RESTORED], secret="whsec_"
    )
    client = cast.client(cast.admin)
    client.post(reverse("remove_image", args=[cast.workspace.pk, "kept"]))
    assert not InstalledLibrary.objects.current().exists()
    page = client.get(pane(cast))
    assert b"Recently removed" in page.content
    client.post(reverse("restore_image", args=[cast.workspace.pk, "kept"]))
    kept.refresh_from_db()
    assert (kept.removed_at, kept.deletion_due_at, kept.status) == (None, None, Status.READY)
    assert InstalledLibrary.objects.current().get().current_of == "kept"
    assert b"Recently removed" not in client.get(pane(cast)).content
    event = AuditEvent.objects.get(event="image.restored")
    assert (event.username, event.object_name) == ("admin", "kept")
    assert Delivery.objects.get(webhook=hook).payload["data"] == {"name": "kept"}


@pytest.mark.parametrize("who", ["manager", "member", "viewer"])
def test_only_organization_administrators_restore(who: str, cast: Cast, kept: ManagedImage) -> None:
    removal.remove_image(Actor(cast.admin), "kept")
    person = getattr(cast, who)
    with pytest.raises(NotAllowed, match="restore a removed image"):
        removal.restore_image(Actor(person), "kept")
    with pytest.raises(NotAllowed):
        removal.delete_image(Actor(person), "kept")
    assert b"Recently removed" not in cast.client(person).get(pane(cast)).content


def test_its_name_is_kept_as_long_as_it_can_be_restored(cast: Cast, kept: ManagedImage) -> None:
    removal.remove_image(Actor(cast.admin), "kept")
    with pytest.raises(Conflict, match="while it can be restored"):
        create_image(Actor(cast.member), "kept", ImageSpec("all", "3.11"))


def test_what_was_not_removed_is_neither_restored_nor_deleted(
    cast: Cast, kept: ManagedImage
) -> None:
    for act in (removal.restore_image, removal.delete_image):
        for name in ("kept", "nothing", "../kept"):
            with pytest.raises(NotFound):
                act(Actor(cast.admin), name)


def test_one_whose_base_moved_on_meanwhile_is_brought_up_to_date(
    cast: Cast, kept: ManagedImage
) -> None:
    removal.remove_image(Actor(cast.admin), "kept")
    BaseImage.objects.update(is_current=False)
    factories.make_base_image()
    assert removal.restore_image(Actor(cast.admin), "kept").status == Status.OUTDATED


def test_one_that_was_never_built_comes_back_as_failed(cast: Cast, base: BaseImage) -> None:
    factories.make_image("fresh", base=base, status=Status.BUILDING_FIRST_TIME)
    removal.remove_image(Actor(cast.admin), "fresh")
    assert removal.restore_image(Actor(cast.admin), "fresh").status == Status.FAILED


def test_the_repository_is_deleted_only_when_nothing_can_be_restored(
    cast: Cast, kept: ManagedImage, registry: LocalAWS, settings: Any
) -> None:
    settings.REMOVAL_GRACE = timedelta(hours=24)
    with registry.repositories(KEPT), registry.identity("registry-server"):
        removal.remove_image(Actor(cast.admin), "kept")
        repositories.delete_repository(kept.pk)
        assert ManagedImage.objects.filter(pk=kept.pk).exists()
        ManagedImage.objects.update(deletion_due_at=timezone.now())
        with pytest.raises(Conflict, match="cannot be restored"):
            removal.restore_image(Actor(cast.admin), "kept")
        repositories.delete_repository(kept.pk)
        assert not ManagedImage.objects.filter(pk=kept.pk).exists()


@pytest.mark.slow
def test_the_sweeper_waits_until_then(
    cast: Cast, kept: ManagedImage, sent: list[tuple[wake.Task, int]]
) -> None:
    removal.remove_image(Actor(cast.admin), "kept")
    sweep.sweep()
    assert not sent
    past = timezone.now() - timedelta(seconds=1)
    ManagedImage.objects.update(deletion_due_at=past, repository_due_at=past)
    sweep.sweep()
    assert sent == [(wake.Task.DELETE_REPOSITORY, kept.pk)]


@pytest.mark.slow
def test_deleted_for_good_it_is_due_at_once_and_cannot_come_back(
    cast: Cast, kept: ManagedImage
) -> None:
    removal.remove_image(Actor(cast.admin), "kept")
    client = cast.client(cast.admin)
    url = reverse("delete_image", args=[cast.workspace.pk, "kept"])
    assert b"Delete image" in client.get(url).content
    client.post(url)
    assert ManagedImage.objects.being_deleted().get() == kept
    with pytest.raises(Conflict):
        removal.restore_image(Actor(cast.admin), "kept")
    assert client.post(url).status_code == 302
    assert AuditEvent.objects.filter(event="image.deleted").count() == 1


@pytest.mark.slow
def test_without_a_grace_period_it_is_gone_at_once(
    cast: Cast, kept: ManagedImage, settings: Any
) -> None:
    settings.REMOVAL_GRACE = timedelta(0)
    url = reverse("remove_image", args=[cast.workspace.pk, "kept"])
    assert b"This cannot be undone." in cast.client(cast.admin).get(url).content
    removal.remove_image(Actor(cast.admin), "kept")
    assert not ManagedImage.objects.get().is_restorable
    assert ManagedImage.objects.being_deleted().exists()


# --- use ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_removing_what_models_run_on_needs_the_name_typed(cast: Cast, kept: ManagedImage) -> None:
    model = factories.make_model(cast.workspace, image=kept, name="Churn")
    url = reverse("remove_image", args=[cast.workspace.pk, "kept"])
    client = cast.client(cast.admin)
    asked = client.get(url).content
    assert b"1 model runs on it" in asked
    assert b"Churn" in asked
    refused = client.post(url, {"name": "kep"})
    assert refused.status_code == 422
    assert b"Type its name to remove it." in refused.content
    with pytest.raises(Invalid):
        removal.remove_image(Actor(cast.admin), "kept")
    assert client.post(url, {"name": "kept"}).status_code == 302
    stands = model.assignments.get()
    assert usability(stands) == Usability.REMOVED
    page = cast.client(cast.member).get(reverse("model", args=[cast.workspace.pk, model.pk]))
    assert b"Image removed" in page.content
    removal.restore_image(Actor(cast.admin), "kept")
    stands.refresh_from_db()
    assert usability(stands) == Usability.USABLE


def test_models_still_say_so_when_the_image_is_deleted(cast: Cast, kept: ManagedImage) -> None:
    model = factories.make_model(cast.workspace, image=kept)
    removal.remove_image(Actor(cast.admin), "kept", typed_name="kept")
    ManagedImage.objects.get(pk=kept.pk).delete()
    stands = model.assignments.get()
    assert (stands.image, stands.label, usability(stands)) == (None, "kept", Usability.REMOVED)


@pytest.mark.slow
def test_beyond_those_that_are_shown_models_are_counted(cast: Cast, kept: ManagedImage) -> None:
    for _ in range(23):
        factories.make_model(cast.workspace, image=kept)
    url = reverse("remove_image", args=[cast.workspace.pk, "kept"])
    asked = cast.client(cast.admin).get(url).content
    assert b"23 models run on it" in asked
    assert b"3 more models" in asked


def test_workspaces_that_one_does_not_see_are_not_named(cast: Cast, kept: ManagedImage) -> None:
    hidden = factories.make_workspace("Hidden")
    factories.make_model(hidden, image=kept)
    seen = factories.make_model(cast.workspace, image=kept)
    use = use_of(kept, Actor(cast.member))
    assert [item.model for item in use.models] == [seen]
    assert (use.others, use.count) == (1, 2)
