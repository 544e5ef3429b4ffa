"""REST endpoints for members and accounts, at the original's paths. They call the console's operations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from ninja import Query
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Line, page_of, router
from ri_platform.numbers import number_of
from ri_platform.text import column_length
from workspaces.access import Action, Actor
from workspaces.api.guard import Id, Nothing, guarded
from workspaces.models import InstanceRole, Membership, User, Workspace, WorkspaceRole
from workspaces.operations import accounts, members

routes = router("Members and accounts", "Who is in a workspace, and who is on the instance.")
PAGE_SIZE = 100


class MemberOut(Camel):
    """A member of a workspace."""

    user_id: int
    """The account's number."""
    user_name: str
    """The username."""
    email: str
    """The e-mail address; may be empty."""
    role: WorkspaceRole
    """The role in the workspace."""


class MembersOut(Camel):
    """Members of a workspace."""

    users: list[MemberOut]
    """By username."""


class CandidatesIn(Camel):
    """Whom to look for."""

    search: Line = Field("", max_length=100, examples=["ad"])
    """How the username, e-mail address, first or last name begins."""


class CandidateOut(Camel):
    """An account that could become a member."""

    user_id: int
    """The account's number, as adding members takes it."""
    user_name: str
    """Its username."""
    email: str
    """Its e-mail address; may be empty."""


class CandidatesOut(Camel):
    """At most a hundred accounts."""

    users: list[CandidateOut]
    """By username."""


class MembersIn(Camel):
    """Whom to add."""

    user_ids: list[int] = Field(min_length=1, max_length=100, examples=[[42]])
    """The numbers of accounts, as finding candidates tells them."""
    role: WorkspaceRole = WorkspaceRole.MEMBER
    """The role that they get."""


class MemberRoleIn(Camel):
    """The new role."""

    role: WorkspaceRole
    """The role in the workspace."""


class AccountOut(Camel):
    """An account."""

    id: int
    """The account's number."""
    user_name: str
    """The username."""
    email: str
    """The e-mail address; may be empty."""
    role: InstanceRole
    """The role on the instance."""
    active: bool
    """Whether it can sign in."""
    creation_time: datetime
    """When it was created."""
    last_sign_in_time: datetime | None = None
    """When it last signed in."""


class AccountsOut(Camel):
    """A page of accounts."""

    users: list[AccountOut]
    """The accounts of this page, by username."""
    next_page_token: str
    """Asks for the next page. On the last page it is the token that was asked with."""


class AccountsIn(Camel):
    """Which page of the accounts, and whom to look for."""

    page_token: Line = Field("", max_length=column_length(User, "username"))
    """The `nextPageToken` of the former page; empty for the first."""
    search: Line = Field("", max_length=100, examples=["ada"])
    """A part of the username or the e-mail address."""


class AccountIn(Camel):
    """A new account."""

    user_name: Line = Field(min_length=1, max_length=column_length(User, "username"))
    """Up to 150 letters, digits and `@`, `.`, `+`, `-`, `_`; unique in any case."""
    email: Line = Field("", max_length=column_length(User, "email"))
    """The e-mail address; may be left out."""
    role: InstanceRole = InstanceRole.BASIC
    """The role on the instance."""


class OwnAccountOut(AccountOut):
    """The account that a token acts for, and the token itself."""

    workspace_id: Id
    """The token's workspace."""
    workspace_name: str
    """Its name."""
    token_id: Id
    """The token."""
    token_name: str
    """The token's name."""
    token_expiration_time: datetime
    """When the token expires."""


class AccountRoleIn(Camel):
    """The new role."""

    role: InstanceRole
    """The role on the instance."""


class PasswordLink(Camel):
    """A page where a password can be chosen, once. It is told this once."""

    path: str = Field(examples=["/password/NDI/d0x1y2-9f86d081884c7d659a2feaa0c55ad015"])
    """Its path on this instance."""


@routes.get(
    "/workspace/{workspace_id}/users", response={200: MembersOut, **ERRORS}, summary="List members"
)
@guarded(Action.SEE_MEMBERS)
def list_members(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """A workspace's members by name."""
    found = workspace.memberships.select_related("user").order_by("user__username")
    return {"users": [member_described(membership) for membership in found]}


@routes.get(
    "/workspace/{workspace_id}/users:candidates",
    response={200: CandidatesOut, **ERRORS},
    summary="Find accounts to add as members",
)
@guarded(Action.MANAGE_MEMBERS)
def list_candidates(
    request: HttpRequest, workspace: Workspace, asked: Query[CandidatesIn]
) -> dict[str, Any]:
    """Active accounts that are no members yet."""
    found = members.candidates(workspace, asked.search)[:PAGE_SIZE]
    return {
        "users": [
            {"user_id": user.pk, "user_name": user.username, "email": user.email} for user in found
        ]
    }


@routes.post(
    "/workspace/{workspace_id}/users", response={200: MembersOut, **ERRORS}, summary="Add members"
)
@guarded(Action.MANAGE_MEMBERS)
def add_members(request: HttpRequest, workspace: Workspace, wanted: MembersIn) -> dict[str, Any]:
    """Answers those that were added; who is a member already stays as they are."""
    users = members.candidates(workspace, "").filter(
        pk__in=[number for number in wanted.user_ids if number_of(number, 31) is not None]
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
    users = accounts.search(asked.search).filter(username__gt=asked.page_token)
    found, token = page_of(users, PAGE_SIZE, asked.page_token, lambda user: user.username)
    return {"users": [account_described(user) for user in found], "next_page_token": token}


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


@routes.get("/users/me", response={200: OwnAccountOut, **ERRORS}, summary="Get one's account")
@guarded(Action.SEE_WORKSPACES)
def get_own_account(request: HttpRequest) -> dict[str, Any]:
    """Whom the token acts for, in which workspace, and until when."""
    actor = Actor.of(request)
    assert actor.token is not None
    return {
        **account_described(actor.user),
        "workspace_id": {"uuid": actor.token.workspace_id},
        "workspace_name": actor.token.workspace.name,
        "token_id": {"uuid": actor.token.pk},
        "token_name": actor.token.name,
        "token_expiration_time": actor.token.expires_at,
    }


@routes.post(
    "/users/{user_id}:reactivate",
    response={200: Nothing, **ERRORS},
    summary="Reactivate an account",
)
@guarded(Action.MANAGE_ACCOUNTS)
def reactivate_account(request: HttpRequest, user_id: int) -> dict[str, Any]:
    """It can sign in again; its tokens that have not expired work again, too."""
    actor = Actor.of(request)
    accounts.reactivate_account(actor, accounts.account_of(actor, user_id))
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
