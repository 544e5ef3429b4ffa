"""Only organization administrators and support users remove, by every way in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from images.models import BaseImage, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import removal
from images.operations.images import create_image
from images.spec import ImageSpec
from ri_platform.errors import Conflict, NotAllowed, NotFound
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent, User


def remove_url(cast: Cast, name: str = "shared") -> str:
    return reverse("remove_image", kwargs={"workspace_id": cast.workspace.pk, "name": name})


@pytest.fixture
def shared(base: BaseImage) -> ManagedImage:
    return factories.make_image("shared", base=base)


@pytest.mark.parametrize("who", ["manager", "member", "viewer"])
def test_without_the_privilege_a_direct_post_is_refused(
    who: str, cast: Cast, shared: ManagedImage
) -> None:
    response = cast.client(getattr(cast, who)).post(remove_url(cast))
    assert response.status_code == 403
    assert b"Only Organization Administrators can remove a managed image." in response.content
    assert ManagedImage.objects.existing().filter(name="shared").exists()


def test_a_stranger_does_not_even_learn_of_the_workspace(cast: Cast, shared: ManagedImage) -> None:
    assert cast.client(cast.stranger).post(remove_url(cast)).status_code == 404


@pytest.mark.parametrize("who", ["manager", "member", "viewer", "stranger"])
def test_the_operation_itself_refuses(who: str, cast: Cast, shared: ManagedImage) -> None:
    with pytest.raises(NotAllowed):
        removal.remove_image(Actor(getattr(cast, who)), "shared")


@pytest.mark.parametrize("who", ["admin", "support"])
@pytest.mark.slow
def test_who_has_the_privilege_removes_it_from_every_list_at_once(
    who: str, cast: Cast, shared: ManagedImage
) -> None:
    client = cast.client(getattr(cast, who))
    assert client.post(remove_url(cast)).status_code == 302
    for workspace in (cast.workspace, cast.other):
        pane = cast.client(cast.member).get(
            reverse("images", kwargs={"workspace_id": workspace.pk})
        )
        assert b"shared" not in pane.content
    event = AuditEvent.objects.get(event="image.removed")
    assert (event.username, event.object_name, event.workspace_name) == (
        who,
        "shared",
        "Workspace 1",
    )


@pytest.mark.slow
def test_removing_twice_is_harmless(cast: Cast, shared: ManagedImage) -> None:
    client = cast.client(cast.admin)
    client.post(remove_url(cast))
    first = ManagedImage.objects.get(name="shared").removed_at
    assert client.post(remove_url(cast)).status_code == 302
    assert ManagedImage.objects.get(name="shared").removed_at == first
    assert AuditEvent.objects.filter(event="image.removed").count() == 1


def test_an_unknown_image_is_not_found(cast: Cast) -> None:
    with pytest.raises(NotFound):
        removal.remove_image(Actor(cast.admin), "nothing")


def test_the_name_stays_reserved_until_the_repository_is_gone(
    cast: Cast, shared: ManagedImage, settings: Any
) -> None:
    settings.REMOVAL_GRACE = timedelta(0)
    removal.remove_image(Actor(cast.admin), "shared")
    with pytest.raises(Conflict, match="still being removed"):
        create_image(Actor(cast.member), "shared", ImageSpec("all", "3.11"))


def test_a_running_build_is_cancelled(cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("fresh", base=base, status=Status.BUILDING_FIRST_TIME)
    removal.remove_image(Actor(cast.admin), "fresh")
    assert image.builds.get().state == WorkState.CANCELLED


@pytest.mark.slow
def test_an_administrator_sees_what_is_being_removed_and_why_it_waits(
    cast: Cast, shared: ManagedImage, settings: Any
) -> None:
    settings.REMOVAL_GRACE = timedelta(0)
    removal.remove_image(Actor(cast.admin), "shared")
    ManagedImage.objects.update(repository_error="AWS refused ecr:DeleteRepository.")
    url = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    assert b"AWS refused ecr:DeleteRepository." in cast.client(cast.admin).get(url).content
    assert b"AWS refused" not in cast.client(cast.member).get(url).content


def test_the_django_admin_removes_by_the_same_rule(cast: Cast, shared: ManagedImage) -> None:
    def act(user: User) -> None:
        User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
        cast.client(User.objects.get(pk=user.pk)).post(
            "/django-admin/images/managedimage/",
            {"action": "remove_images", "_selected_action": [shared.pk]},
        )

    act(cast.member)
    assert ManagedImage.objects.existing().filter(name="shared").exists()
    act(cast.admin)
    assert not ManagedImage.objects.existing().filter(name="shared").exists()
    assert AuditEvent.objects.filter(event="image.removed", username="admin").exists()
