"""Workspaces: created and removed by organization administrators; images outlive them."""

from __future__ import annotations

import pytest
from django.urls import reverse

from images.models import BaseImage, ManagedImage
from tests import factories
from tests.cast import Cast
from workspaces.models import AuditEvent, Workspace


@pytest.mark.slow
def test_an_organization_administrator_creates_one(cast: Cast) -> None:
    client = cast.client(cast.admin)
    assert b"Create Workspace" in client.get(reverse("workspaces")).content
    answer = client.post(reverse("create_workspace"), {"name": "Pricing", "description": ""})
    workspace = Workspace.objects.get(name="Pricing")
    assert answer["Location"] == reverse("members", args=[workspace.pk])
    again = client.post(reverse("create_workspace"), {"name": "Pricing", "description": ""})
    assert again.status_code == 422
    assert b"There is a workspace named Pricing already." in again.content
    assert b"Create Workspace" not in cast.client(cast.manager).get(reverse("workspaces")).content


@pytest.mark.slow
def test_removing_takes_the_typed_name_and_leaves_images(cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base, created_in=cast.workspace)
    client, url = cast.client(cast.admin), reverse("remove_workspace", args=[cast.workspace.pk])
    asked = client.get(url)
    assert b"Type <strong>Workspace 1</strong> to go on" in asked.content
    wrong = client.post(url, {"name": "Workspace 2"})
    assert wrong.status_code == 422
    assert b"This is not the workspace&#x27;s name." in wrong.content
    assert Workspace.objects.filter(pk=cast.workspace.pk).exists()
    assert client.post(url, {"name": "Workspace 1"}).status_code == 302
    assert not Workspace.objects.filter(pk=cast.workspace.pk).exists()
    image = ManagedImage.objects.get(name="churn")
    assert (image.created_in, image.removed_at) == (None, None)
    event = AuditEvent.objects.get(event="workspace.removed")
    assert sorted(event.details["members"]) == ["manager", "member", "viewer"]


def test_a_workspace_administrator_does_not_remove_it(cast: Cast) -> None:
    url = reverse("remove_workspace", args=[cast.workspace.pk])
    assert cast.client(cast.manager).post(url, {"name": "Workspace 1"}).status_code == 403
