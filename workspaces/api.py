"""REST for workspaces and API access tokens, at the original's paths; and who a request is from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Line, Lines, router
from ri_platform.text import column_length
from workspaces import operations, tokens
from workspaces.access import LOCATED, Action, Actor, needs, visible_workspace
from workspaces.models import ApiToken, Workspace

routes = router(
    "Workspaces and tokens",
    "Where people organize their work, and the tokens that programs come with.",
)


class Id(Camel):
    """An identifier as the original wraps it."""

    uuid: UUID
    """A UUID (RFC 9562)."""


class TokenIn(Camel):
    """A new token."""

    name: Line = Field(
        min_length=1, max_length=column_length(ApiToken, "name"), examples=["nightly-training"]
    )
    """What will use it; unique among one's tokens of a workspace."""
    workspace_id: Id | None = None
    """The workspace; left out for that of the token which asks."""
    expiry_days: int | None = Field(None, ge=1, le=100_000, examples=[90])
    """How many days it lives; left out for as many as it may."""


class TokenMade(Camel):
    """A token just made."""

    id: Id
    """The token's identifier."""
    full_api_token: str = Field(examples=["ri_" + "5c3f9a70" * 8])
    """The token itself. It is told this once."""
    expiration_time: datetime
    """When it expires."""


class TokenOut(Camel):
    """An API access token, without its secret."""

    id: Id
    """The token's identifier."""
    name: str = Field(examples=["nightly-training"])
    """What it was named."""
    suffix: str
    """The last four characters of the token."""
    workspace_id: Id
    """The workspace that it is for."""
    user_name: str
    """The account that it acts for."""
    creation_time: datetime
    """When it was created."""
    expiration_time: datetime
    """When it expires."""
    last_use_time: datetime | None = None
    """When it was last used, to the minute."""


class TokensOut(Camel):
    """API access tokens."""

    api_token_infos: list[TokenOut]
    """The newest first."""


class WorkspaceOut(Camel):
    """A workspace."""

    workspace_id: Id
    """The workspace's identifier."""
    name: str = Field(examples=["Pricing"])
    """Its name, which is unique on the instance."""
    description: str = Field(examples=["Models that set prices."])
    """What it is for."""
    creation_time: datetime
    """When it was created."""


class WorkspacesOut(Camel):
    """Workspaces."""

    workspaces: list[WorkspaceOut]
    """By name."""


class WorkspaceIn(Camel):
    """What people say of a workspace."""

    name: Line = Field(
        min_length=1, max_length=column_length(Workspace, "name"), examples=["Pricing"]
    )
    """Its name, which is unique on the instance."""
    description: Lines = Field(
        "", max_length=column_length(Workspace, "description"), examples=["Models that set prices."]
    )
    """What it is for."""


class Nothing(Camel):
    """An empty object."""


def guarded(action: Action) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`needs` for an endpoint: what takes a `workspace` is published as taking its `workspace_id`.

    So with what `access.locates` registered.
    """

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        endpoint = needs(action)(view)
        signature = inspect.signature(view, eval_str=True)
        published = {name: parameter for parameter, (name, _) in LOCATED.items()}
        published["workspace"] = "workspace_id"
        parameters = [
            parameter.replace(name=published[parameter.name], annotation=UUID)
            if parameter.name in published
            else parameter
            for parameter in signature.parameters.values()
        ]
        endpoint.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return endpoint

    return decorate


@routes.get("/workspace", response={200: WorkspacesOut, **ERRORS}, summary="List workspaces")
@guarded(Action.SEE_WORKSPACES)
def list_workspaces(request: HttpRequest) -> dict[str, Any]:
    """The workspaces that the token's user sees, by name."""
    found = Workspace.objects.visible_to(Actor.of(request).user).order_by("name")
    return {"workspaces": [described(workspace) for workspace in found]}


@routes.get(
    "/workspace/{workspace_id}", response={200: WorkspaceOut, **ERRORS}, summary="Get a workspace"
)
@guarded(Action.SEE_WORKSPACE)
def get_workspace(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """A workspace that the token's user sees."""
    return described(workspace)


@routes.put(
    "/workspace/{workspace_id}",
    response={200: WorkspaceOut, **ERRORS},
    summary="Change a workspace's name and description",
)
@guarded(Action.EDIT_WORKSPACE)
def edit_workspace(
    request: HttpRequest, workspace: Workspace, wanted: WorkspaceIn
) -> dict[str, Any]:
    """Both are set to what is given."""
    command = operations.EditWorkspace(wanted.name, wanted.description)
    return described(operations.edit_workspace(Actor.of(request), workspace, command))


@routes.post("/workspace", response={200: WorkspaceOut, **ERRORS}, summary="Create a workspace")
@guarded(Action.CREATE_WORKSPACE)
def create_workspace(request: HttpRequest, wanted: WorkspaceIn) -> dict[str, Any]:
    """It has no members yet; Organization Administrators see it all the same."""
    command = operations.EditWorkspace(wanted.name, wanted.description)
    return described(operations.create_workspace(Actor.of(request), command))


@routes.delete(
    "/workspace/{workspace_id}", response={200: Nothing, **ERRORS}, summary="Remove a workspace"
)
@guarded(Action.REMOVE_WORKSPACE)
def remove_workspace(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """With its memberships and tokens, at once. Managed images that were created in it stay."""
    operations.remove_workspace(Actor.of(request), workspace, workspace.name)
    return {}


@routes.post(
    "/users/api-tokens", response={200: TokenMade, **ERRORS}, summary="Create an API access token"
)
@guarded(Action.SEE_WORKSPACES)
def create_token(request: HttpRequest, wanted: TokenIn) -> dict[str, Any]:
    """A token of the same user; without a workspace it is for that of the token which asks.

    It expires no later than that one. The answer tells the token, once.
    """
    actor = Actor.of(request)
    workspace = workspace_of(actor, wanted.workspace_id)
    made = tokens.create_token(actor, workspace, wanted.name, days=wanted.expiry_days)
    return {
        "id": {"uuid": made.token.pk},
        "full_api_token": made.secret,
        "expiration_time": made.token.expires_at,
    }


@routes.get(
    "/users/api-tokens", response={200: TokensOut, **ERRORS}, summary="List API access tokens"
)
@guarded(Action.SEE_WORKSPACES)
def list_tokens(request: HttpRequest) -> dict[str, Any]:
    """Those of the workspace of the token which asks: the user's own, or all for who manages them."""
    actor = Actor.of(request)
    found = tokens.visible_tokens(actor.user, workspace_of(actor, None))
    return {"api_token_infos": [token_described(token) for token in found]}


@routes.delete(
    "/users/api-tokens/{token_id}",
    response={200: Nothing, **ERRORS},
    summary="Revoke an API access token",
)
@guarded(Action.SEE_WORKSPACES)
def revoke_token(request: HttpRequest, token_id: UUID) -> dict[str, Any]:
    """It ends at once; also the token which asks may be named."""
    actor = Actor.of(request)
    tokens.revoke_token(actor, tokens.token_of(actor.user, token_id))
    return {}


def workspace_of(actor: Actor, wanted: Id | None) -> Workspace:
    if wanted is not None:
        return visible_workspace(actor.user, wanted.uuid)
    assert actor.token is not None
    return actor.token.workspace


def described(workspace: Workspace) -> dict[str, Any]:
    return {
        "workspace_id": {"uuid": workspace.pk},
        "name": workspace.name,
        "description": workspace.description,
        "creation_time": workspace.created_at,
    }


def token_described(token: ApiToken) -> dict[str, Any]:
    return {
        "id": {"uuid": token.pk},
        "name": token.name,
        "suffix": token.suffix,
        "workspace_id": {"uuid": token.workspace_id},
        "user_name": token.user.username,
        "creation_time": token.created_at,
        "expiration_time": token.expires_at,
        "last_use_time": token.last_used_at,
    }
