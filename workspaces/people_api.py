"""REST for members and accounts, at the original's paths; each calls the operation the console calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from ninja import Query
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Text, router
from workspaces import accounts, members
from workspaces.access import Action, Actor
from workspaces.api import Nothing, guarded
from workspaces.models import InstanceRole, Membership, User, Workspace, WorkspaceRole

routes = router("Members and accounts")
PAGE_SIZE = 100


class MemberOut(Camel):
    user_id: int
    user_name: str
    email: str
    role: WorkspaceRole


class MembersOut(Camel):
    users: list[MemberOut]


class MembersIn(Camel):
    user_ids: list[int] = Field(min_length=1, max_length=100)
    role: WorkspaceRole = WorkspaceRole.MEMBER


class MemberRoleIn(Camel):
    role: WorkspaceRole


class AccountOut(Camel):
    id: int
    user_name: str
    email: str
    role: InstanceRole
    active: bool
    creation_time: datetime
    last_sign_in_time: datetime | None = None


class AccountsOut(Camel):
    """The last page's token is the one that was asked with."""

    users: list[AccountOut]
    next_page_token: str


class AccountsIn(Camel):
    page_token: Text = ""


class AccountIn(Camel):
    user_name: Text
    email: Text = ""
    role: InstanceRole = InstanceRole.BASIC


class AccountRoleIn(Camel):
    role: InstanceRole


class PasswordLink(Camel):
    """The path of a page where a password can be chosen, once. It is told this once."""

    path: str


@routes.get(
    "/workspace/{workspace_id}/users", response={200: MembersOut, **ERRORS}, summary="List members"
)
@guarded(Action.SEE_MEMBERS)
def list_members(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """A workspace's members by name."""
    found = workspace.memberships.select_related("user").order_by("user__username")
    return {"users": [member_described(membership) for membership in found]}


@routes.post(
    "/workspace/{workspace_id}/users", response={200: MembersOut, **ERRORS}, summary="Add members"
)
@guarded(Action.MANAGE_MEMBERS)
def add_members(request: HttpRequest, workspace: Workspace, wanted: MembersIn) -> dict[str, Any]:
    """Answers those that were added; who is a member already stays as they are."""
    users = members.candidates(workspace, "").filter(
        pk__in=[number for number in wanted.user_ids if 0 < number < 2**31]
    )
    added = members.add_members(Actor.of(request), workspace, users, wanted.role)
    return {"users": [member_described(membership) for membership in added]}


@routes.put(
    "/workspace/{workspace_id}/users/{user_id}",
    response={200: MemberOut, **ERRORS},
    summary="Change a member's role",
)
@guarded(Action.MANAGE_MEMBERS)
def edit_member(
    request: HttpRequest, workspace: Workspace, user_id: int, wanted: MemberRoleIn
) -> dict[str, Any]:
    """It counts at once."""
    membership = members.membership_of(workspace, user_id)
    return member_described(members.edit_member(Actor.of(request), membership, wanted.role))


@routes.delete(
    "/workspace/{workspace_id}/users/{user_id}",
    response={200: Nothing, **ERRORS},
    summary="Remove a member",
)
@guarded(Action.MANAGE_MEMBERS)
def remove_member(request: HttpRequest, workspace: Workspace, user_id: int) -> dict[str, Any]:
    """Their tokens for the workspace end, too."""
    members.remove_member(Actor.of(request), members.membership_of(workspace, user_id))
    return {}


@routes.get("/users", response={200: AccountsOut, **ERRORS}, summary="List accounts")
@guarded(Action.SEE_ORGANIZATION)
def list_accounts(request: HttpRequest, asked: Query[AccountsIn]) -> dict[str, Any]:
    """All accounts of the instance by name, in pages."""
    users = User.objects.filter(username__gt=asked.page_token).order_by("username")
    found = list(users[: PAGE_SIZE + 1])
    more = len(found) > PAGE_SIZE
    return {
        "users": [account_described(user) for user in found[:PAGE_SIZE]],
        "next_page_token": found[PAGE_SIZE - 1].username if more else asked.page_token,
    }


@routes.post("/users", response={200: AccountOut, **ERRORS}, summary="Create an account")
@guarded(Action.MANAGE_ACCOUNTS)
def create_account(request: HttpRequest, wanted: AccountIn) -> dict[str, Any]:
    """It has no password yet; ask for a link with which its owner chooses one."""
    user = accounts.create_account(
        Actor.of(request), wanted.user_name, email=wanted.email, role=wanted.role
    )
    return account_described(user)


@routes.post(
    "/users/reset-password/{user_id}",
    response={200: PasswordLink, **ERRORS},
    summary="Make a link to choose a password with",
)
@guarded(Action.MANAGE_ACCOUNTS)
def reset_password(request: HttpRequest, user_id: int) -> dict[str, Any]:
    """The present password stops working at once, and open sessions end."""
    actor = Actor.of(request)
    uid, token = accounts.password_link(actor, accounts.account_of(actor, user_id))
    return {"path": reverse("choose_password", args=[uid, token])}


@routes.post(
    "/users/remove-second-factors/{user_id}",
    response={200: Nothing, **ERRORS},
    summary="Remove an account's second factors",
)
@guarded(Action.MANAGE_ACCOUNTS)
def remove_second_factors(request: HttpRequest, user_id: int) -> dict[str, Any]:
    """For who lost their phone or key: the password suffices from then on, and open sessions end."""
    actor = Actor.of(request)
    accounts.remove_second_factors(actor, accounts.account_of(actor, user_id))
    return {}


@routes.get("/users/{user_id}", response={200: AccountOut, **ERRORS}, summary="Get an account")
@guarded(Action.SEE_ORGANIZATION)
def get_account(request: HttpRequest, user_id: int) -> dict[str, Any]:
    """One account."""
    return account_described(accounts.account_of(Actor.of(request), user_id))


@routes.put(
    "/users/{user_id}", response={200: AccountOut, **ERRORS}, summary="Change an account's role"
)
@guarded(Action.MANAGE_ACCOUNTS)
def change_role(request: HttpRequest, user_id: int, wanted: AccountRoleIn) -> dict[str, Any]:
    """It counts from the account's next request on."""
    actor = Actor.of(request)
    account = accounts.account_of(actor, user_id)
    return account_described(accounts.change_role(actor, account, wanted.role))


@routes.delete(
    "/users/{user_id}", response={200: Nothing, **ERRORS}, summary="Deactivate an account"
)
@guarded(Action.MANAGE_ACCOUNTS)
def deactivate_account(request: HttpRequest, user_id: int) -> dict[str, Any]:
    """Its sessions and tokens stop working at once; what it created stays."""
    actor = Actor.of(request)
    accounts.deactivate_account(actor, accounts.account_of(actor, user_id))
    return {}


def member_described(membership: Membership) -> dict[str, Any]:
    return {
        "user_id": membership.user_id,
        "user_name": membership.user.username,
        "email": membership.user.email,
        "role": membership.role,
    }


def account_described(user: User) -> dict[str, Any]:
    return {
        "id": user.pk,
        "user_name": user.username,
        "email": user.email,
        "role": user.role,
        "active": user.is_active,
        "creation_time": user.date_joined,
        "last_sign_in_time": user.last_login,
    }
