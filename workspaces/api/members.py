"""REST endpoints for the members of a workspace."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Line, PageIn, PageOut, page_of, router
from ri_platform.numbers import number_of
from workspaces.access import Action, Actor
from workspaces.api.accounts import PAGE_SIZE
from workspaces.api.guard import Nothing, guarded
from workspaces.models import Membership, Workspace, WorkspaceRole
from workspaces.operations import members

routes = router("Members", "The members of a workspace and their roles.")


class MemberOut(Camel):
    """A member of a workspace."""

    user_id: int
    """The account's number."""
    user_name: str = Field(validation_alias="user.username")
    """The username."""
    email: str = Field(validation_alias="user.email")
    """The e-mail address; may be empty."""
    role: WorkspaceRole
    """The role in the workspace."""


class MembersOut(Camel):
    """Members of a workspace."""

    users: list[MemberOut]
    """In the order of their usernames."""


class CandidatesIn(Camel):
    """The text to search for."""

    search: Line = Field("", max_length=100, examples=["ad"])
    """The start of a username, an e-mail address, a first or a last name."""


class CandidateOut(Camel):
    """An account that could become a member."""

    user_id: int = Field(validation_alias="id")
    """The account's number, for adding it as a member."""
    user_name: str = Field(validation_alias="username")
    """Its username."""
    email: str
    """Its e-mail address; may be empty."""


class MembersPage(MembersOut, PageOut):
    """A page of the members of a workspace."""


class CandidatesOut(Camel):
    """The accounts that were found; at most a hundred."""

    users: list[CandidateOut]
    """In the order of their usernames."""


class MembersIn(Camel):
    """The accounts to add as members."""

    user_ids: list[int] = Field(min_length=1, max_length=100, examples=[[42]])
    """The accounts' numbers, from the list of candidates."""
    role: WorkspaceRole = WorkspaceRole.MEMBER
    """The role of the new members."""


class MemberRoleIn(Camel):
    """The new role."""

    role: WorkspaceRole
    """The role in the workspace."""


@routes.get(
    "/workspace/{workspace_id}/users", response={200: MembersPage, **ERRORS}, summary="List members"
)
@guarded(Action.SEE_MEMBERS)
def list_members(
    request: HttpRequest, workspace: Workspace, asked: Query[PageIn]
) -> dict[str, Any]:
    """Returns a workspace's members in the order of their names, in pages."""
    rows = workspace.memberships.select_related("user")
    found, token = page_of(rows, members.ORDER, asked.page_size, asked.page_token)
    return {"users": found, "next_page_token": token}


@routes.get(
    "/workspace/{workspace_id}/users:candidates",
    response={200: CandidatesOut, **ERRORS},
    summary="Find accounts to add as members",
)
@guarded(Action.MANAGE_MEMBERS)
def list_candidates(
    request: HttpRequest, workspace: Workspace, asked: Query[CandidatesIn]
) -> dict[str, Any]:
    """Returns active accounts that are not members yet."""
    found = members.candidates(workspace, asked.search)[:PAGE_SIZE]
    return {"users": found}


@routes.post(
    "/workspace/{workspace_id}/users", response={200: MembersOut, **ERRORS}, summary="Add members"
)
@guarded(Action.MANAGE_MEMBERS)
def add_members(request: HttpRequest, workspace: Workspace, wanted: MembersIn) -> dict[str, Any]:
    """Adds members and returns them. Accounts that are members already keep their role."""
    users = members.candidates(workspace, "").filter(
        pk__in=[number for number in wanted.user_ids if number_of(number, 31) is not None]
    )
    added = members.add_members(Actor.of(request), workspace, users, wanted.role)
    return {"users": added}


@routes.put(
    "/workspace/{workspace_id}/users/{user_id}",
    response={200: MemberOut, **ERRORS},
    summary="Change a member's role",
)
@guarded(Action.MANAGE_MEMBERS)
def edit_member(
    request: HttpRequest, workspace: Workspace, user_id: int, wanted: MemberRoleIn
) -> Membership:
    """Changes a member's role in the workspace. The change takes effect at once."""
    membership = members.membership_of(workspace, user_id)
    return members.edit_member(Actor.of(request), membership, wanted.role)


@routes.delete(
    "/workspace/{workspace_id}/users/{user_id}",
    response={200: Nothing, **ERRORS},
    summary="Remove a member",
)
@guarded(Action.MANAGE_MEMBERS)
def remove_member(request: HttpRequest, workspace: Workspace, user_id: int) -> dict[str, Any]:
    """Removes a member from the workspace and revokes the member's tokens for it."""
    members.remove_member(Actor.of(request), members.membership_of(workspace, user_id))
    return {}
