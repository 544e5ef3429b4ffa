"""REST endpoints for workspaces and API access tokens, at the original's paths, and their authentication."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Line, Lines, router
from ri_platform.errors import NotAllowed
from ri_platform.text import column_length
from workspaces.access import TABLE, Action, Actor
from workspaces.api.guard import Id, Nothing, guarded
from workspaces.api.token_auth import authenticate
from workspaces.models import ApiToken, Workspace
from workspaces.operations import tokens
from workspaces.operations import workspaces as operations

routes = router(
    "Workspaces and tokens",
    "Where people organize their work, and the tokens that programs come with.",
)


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


@routes.get("/workspace", response={200: WorkspacesOut, **ERRORS}, summary="List workspaces")
@guarded(Action.SEE_WORKSPACES)
def list_workspaces(request: HttpRequest) -> dict[str, Any]:
    """The token's own workspace: a token sees no other."""
    found = Workspace.objects.visible_to(Actor.of(request))
    return {"workspaces": [described(workspace) for workspace in found]}


@routes.get(
    "/workspace/{workspace_id}", response={200: WorkspaceOut, **ERRORS}, summary="Get a workspace"
)
@guarded(Action.SEE_WORKSPACE)
def get_workspace(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """The token's own workspace; any other is not found."""
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
    """It has no members yet. What is done in it takes a token of its own, made in the console."""
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


@routes.post("/users/api-tokens", response=ERRORS, summary="Create no API access token")
@guarded(Action.CREATE_TOKEN)
def create_token(request: HttpRequest) -> None:
    """A token makes no tokens, so this answers 403. People create them in the console.

    The address stays for clients of the original, so that they are told.
    """
    raise NotAllowed(TABLE[Action.CREATE_TOKEN].token_refusal)


@routes.get(
    "/users/api-tokens", response={200: TokensOut, **ERRORS}, summary="List API access tokens"
)
@guarded(Action.SEE_TOKENS)
def list_tokens(request: HttpRequest) -> dict[str, Any]:
    """Those of the workspace of the token which asks: the user's own, or all for who manages them."""
    found = tokens.visible_tokens(Actor.of(request), authenticate(request).workspace)
    return {"api_token_infos": [token_described(token) for token in found]}


@routes.delete(
    "/users/api-tokens/{token_id}",
    response={200: Nothing, **ERRORS},
    summary="Revoke an API access token",
)
@guarded(Action.REVOKE_TOKEN)
def revoke_token(request: HttpRequest, token_id: UUID) -> dict[str, Any]:
    """It ends at once. It is of the same workspace as the token which asks, or that one itself."""
    actor = Actor.of(request)
    tokens.revoke_token(actor, tokens.token_of(actor, token_id))
    return {}


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
