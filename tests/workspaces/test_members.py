"""Members of a workspace: added several at once, edited, removed; never without an administrator."""

from __future__ import annotations

import pytest
from django.urls import reverse

from ri_platform.errors import Conflict, NotAllowed
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import ApiToken, AuditEvent, Membership, User, WorkspaceRole
from workspaces.operations import members, tokens


def url(cast: Cast, name: str, **more: object) -> str:
    return reverse(name, kwargs={"workspace_id": cast.workspace.pk, **more})


@pytest.mark.slow
def test_several_are_found_as_one_types_and_added_with_a_role(cast: Cast) -> None:
    ada, adam = factories.make_user("ada"), factories.make_user("adam")
    factories.make_user("adele", is_active=False)
    client = cast.client(cast.manager)
    found = client.get(url(cast, "add_members"), {"q": "ad"}, headers={"HX-Request": "true"})
    page = found.content.decode()
    assert "<html" not in page
    assert all(name in page for name in ("ada ", "adam ", "admin "))
    assert "adele" not in page
    answer = client.post(url(cast, "add_members"), {"user": [ada.pk, adam.pk], "role": "viewer"})
    assert answer["Location"] == url(cast, "members")
    roles = cast.workspace.memberships.filter(user__in=[ada, adam]).values_list("role", flat=True)
    assert set(roles) == {WorkspaceRole.VIEWER}
    assert AuditEvent.objects.filter(event="workspace.member_added").count() == 2


def test_who_is_chosen_stays_chosen_while_one_searches_on(cast: Cast) -> None:
    ada = factories.make_user("ada")
    page = cast.client(cast.manager).get(
        url(cast, "add_members"), {"q": "str", "user": str(ada.pk)}
    )
    assert f'value="{ada.pk}" id="user-{ada.pk}" checked' in page.content.decode()
    assert "stranger" in page.content.decode()


def test_adding_nobody_is_told(cast: Cast) -> None:
    answer = cast.client(cast.manager).post(url(cast, "add_members"), {"role": "member"})
    assert answer.status_code == 422
    assert b"Choose at least one account." in answer.content


@pytest.mark.slow
def test_a_role_is_edited_and_counts_at_once(cast: Cast) -> None:
    client = cast.client(cast.member)
    assert client.get(url(cast, "add_members")).status_code == 403
    edited = cast.client(cast.manager).post(
        url(cast, "edit_member", user_id=cast.member.pk), {"role": "admin"}
    )
    assert edited.status_code == 302
    assert client.get(url(cast, "add_members")).status_code == 200
    event = AuditEvent.objects.get(event="workspace.member_edited")
    assert event.details == {"before": "member", "role": "admin"}


@pytest.mark.slow
def test_removing_asks_first_ends_tokens_and_hides_the_workspace(cast: Cast) -> None:
    tokens.create_token(Actor(cast.viewer), cast.workspace, "nightly")
    address = url(cast, "remove_member", user_id=cast.viewer.pk)
    asked = cast.client(cast.manager).get(address)
    assert b"Remove Member" in asked.content
    cast.client(cast.manager).post(address)
    assert not cast.workspace.memberships.filter(user=cast.viewer).exists()
    assert not ApiToken.objects.exists()
    assert cast.client(cast.viewer).get(url(cast, "workspace")).status_code == 404


@pytest.mark.slow
def test_the_last_administrator_stays(cast: Cast) -> None:
    membership = Membership.objects.get(workspace=cast.workspace, user=cast.manager)
    with pytest.raises(Conflict, match="manager is the last administrator of Workspace 1"):
        members.remove_member(Actor(cast.admin), membership)
    with pytest.raises(Conflict):
        members.edit_member(Actor(cast.admin), membership, WorkspaceRole.MEMBER)
    members.edit_member(Actor(cast.admin), membership, WorkspaceRole.VP)
    page = cast.client(cast.manager).post(
        url(cast, "edit_member", user_id=cast.manager.pk), {"role": "viewer"}
    )
    assert page.status_code == 422
    assert b"is the last administrator" in page.content
    members.add_members(
        Actor(cast.admin), cast.workspace, [cast.stranger], WorkspaceRole.ADMINISTRATOR
    )
    membership.refresh_from_db()
    members.remove_member(Actor(cast.admin), membership)
    assert (
        not User.objects.get(pk=cast.manager.pk)
        .memberships.filter(workspace=cast.workspace)
        .exists()
    )


def test_members_and_viewers_manage_nobody(cast: Cast) -> None:
    membership = Membership.objects.get(workspace=cast.workspace, user=cast.viewer)
    for person in (cast.member, cast.viewer, cast.stranger):
        with pytest.raises(NotAllowed):
            members.remove_member(Actor(person), membership)
    page = cast.client(cast.viewer).get(url(cast, "members")).content
    assert b"Add New Member" not in page
    assert b"Only administrators of this workspace manage its members." in page
