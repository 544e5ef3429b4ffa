"""REST endpoints for accounts, at the original's paths. They call the console's operations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from ninja import Query
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Line, page_of, router
from ri_platform.text import column_length
from workspaces.access import Action, Actor
from workspaces.api.guard import Id, Nothing, guarded
from workspaces.models import InstanceRole, User
from workspaces.operations import accounts

routes = router("Accounts", "Who is on the instance.")
PAGE_SIZE = 100


class AccountOut(Camel):
    """An account."""

    id: int
    """The account's number."""
    user_name: str = Field(validation_alias="username")
    """The username."""
    email: str
    """The e-mail address; may be empty."""
    role: InstanceRole
    """The role on the instance."""
    active: bool = Field(validation_alias="is_active")
    """Whether it can sign in."""
    creation_time: datetime = Field(validation_alias="date_joined")
    """When it was created."""
    last_sign_in_time: datetime | None = Field(None, validation_alias="last_login")
    """When it last signed in."""


class AccountsOut(Camel):
    """A page of accounts."""

    users: list[AccountOut]
    """The accounts of this page, by username."""
    next_page_token: str
    """The token of the next page. On the last page it equals the token of the request."""


class AccountsIn(Camel):
    """The page of accounts to return, and the search text."""

    page_token: Line = Field("", max_length=column_length(User, "username"))
    """The `nextPageToken` of the previous page; empty for the first page."""
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
    """A link for choosing a password, which works once. Only this answer contains it."""

    path: str = Field(examples=["/password/NDI/d0x1y2-9f86d081884c7d659a2feaa0c55ad015"])
    """Its path on this instance."""


@routes.get("/users", response={200: AccountsOut, **ERRORS}, summary="List accounts")
@guarded(Action.SEE_ORGANIZATION)
def list_accounts(request: HttpRequest, asked: Query[AccountsIn]) -> dict[str, Any]:
    """Returns all accounts of the instance in the order of their names, in pages."""
    users = accounts.search(asked.search)
    found, token = page_of(users, ("username",), PAGE_SIZE, asked.page_token)
    return {"users": found, "next_page_token": token}


@routes.post("/users", response={200: AccountOut, **ERRORS}, summary="Create an account")
@guarded(Action.MANAGE_ACCOUNTS)
def create_account(request: HttpRequest, wanted: AccountIn) -> User:
    """Creates an account without a password. Reset its password to get a link for choosing one."""
    return accounts.create_account(
        Actor.of(request), wanted.user_name, email=wanted.email, role=wanted.role
    )


@routes.post(
    "/users/reset-password/{user_id}",
    response={200: PasswordLink, **ERRORS},
    summary="Make a link to choose a password with",
)
@guarded(Action.MANAGE_ACCOUNTS)
def reset_password(request: HttpRequest, user_id: int) -> dict[str, Any]:
    """Returns a link for choosing a new password. The current password stops working, and sessions end."""
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
    """Removes all second factors of an account, for a lost phone or key. Its open sessions end."""
    actor = Actor.of(request)
    accounts.remove_second_factors(actor, accounts.account_of(actor, user_id))
    return {}


@routes.get("/users/me", response={200: OwnAccountOut, **ERRORS}, summary="Get the token's account")
@guarded(Action.SEE_WORKSPACES)
def get_own_account(request: HttpRequest) -> dict[str, Any]:
    """Returns the account that the token acts for, the token's workspace and its expiration."""
    actor = Actor.of(request)
    assert actor.token is not None
    return {
        **AccountOut.from_orm(actor.user).dict(),
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
    """Lets an account sign in again. Its tokens that have not expired work again, too."""
    actor = Actor.of(request)
    accounts.reactivate_account(actor, accounts.account_of(actor, user_id))
    return {}


@routes.get("/users/{user_id}", response={200: AccountOut, **ERRORS}, summary="Get an account")
@guarded(Action.SEE_ORGANIZATION)
def get_account(request: HttpRequest, user_id: int) -> User:
    """Returns one account."""
    return accounts.account_of(Actor.of(request), user_id)


@routes.put(
    "/users/{user_id}", response={200: AccountOut, **ERRORS}, summary="Change an account's role"
)
@guarded(Action.MANAGE_ACCOUNTS)
def change_role(request: HttpRequest, user_id: int, wanted: AccountRoleIn) -> User:
    """Changes the role on the instance, from the account's next request on."""
    actor = Actor.of(request)
    account = accounts.account_of(actor, user_id)
    return accounts.change_role(actor, account, wanted.role)


@routes.delete(
    "/users/{user_id}", response={200: Nothing, **ERRORS}, summary="Deactivate an account"
)
@guarded(Action.MANAGE_ACCOUNTS)
def deactivate_account(request: HttpRequest, user_id: int) -> dict[str, Any]:
    """Deactivates an account. Its sessions and tokens stop working at once; its images and models stay."""
    actor = Actor.of(request)
    accounts.deactivate_account(actor, accounts.account_of(actor, user_id))
    return {}
