"""Workspaces, their summary, and the General pane."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests import factories
from tests.cast import Cast
from workspaces.models import AuditEvent, Workspace


def url(cast: Cast, route: str = "settings") -> str:
    return reverse(route, kwargs={"workspace_id": cast.workspace.pk})


@pytest.mark.slow
def test_people_see_the_workspaces_that_they_are_in(cast: Cast) -> None:
    factories.make_workspace("Elsewhere")
    assert b"Elsewhere" not in cast.client(cast.member).get("/workspaces").content
    assert b"Elsewhere" in cast.client(cast.admin).get("/workspaces").content
    assert (
        b"You are not in a workspace yet" in cast.client(cast.stranger).get("/workspaces").content
    )


def test_the_summary_lists_the_members_with_their_roles(cast: Cast) -> None:
    page = cast.client(cast.viewer).get(url(cast, "workspace")).content
    assert b"Workspace administrator" in page
    assert b"(you)" in page


@pytest.mark.parametrize("who", ["admin", "support", "manager"])
def test_administrators_change_name_and_description(who: str, cast: Cast) -> None:
    answer = cast.client(getattr(cast, who)).post(
        url(cast), {"name": "Pricing", "description": "Prices."}, follow=True
    )
    assert b"The workspace was saved." in answer.content
    assert Workspace.objects.get(pk=cast.workspace.pk).name == "Pricing"
    event = AuditEvent.objects.get(event="workspace.edited")
    assert (event.username, event.details["before"]["name"]) == (who, "Workspace 1")


@pytest.mark.parametrize("who", ["member", "viewer"])
def test_others_see_the_fields_and_why_they_cannot_change_them(who: str, cast: Cast) -> None:
    client = cast.client(getattr(cast, who))
    page = client.get(url(cast)).content
    assert b"Only administrators of this workspace change its settings." in page
    assert b"disabled" in page
    assert client.post(url(cast), {"name": "Mine"}).status_code == 403
    assert Workspace.objects.get(pk=cast.workspace.pk).name == "Workspace 1"


def test_a_taken_name_is_told_at_its_field_and_the_shell_keeps_the_old_one(cast: Cast) -> None:
    answer = cast.client(cast.admin).post(url(cast), {"name": "Workspace 2", "description": "x"})
    assert answer.status_code == 422
    assert b"There is a workspace named Workspace 2 already." in answer.content
    assert b'title="Workspace 1"' in answer.content
