"""REST endpoints for API access tokens, at the original's paths."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from ri_platform.api import ERRORS, Camel, PageIn, PageOut, page_of, router
from ri_platform.errors import NotAllowed
from workspaces.access import TABLE, Action, Actor
from workspaces.api.guard import Nothing, RowId, guarded
from workspaces.api.token_auth import authenticate
from workspaces.operations import tokens

routes = router("Tokens", "The API access tokens with which programs authenticate.")


class TokenOut(Camel):
    """An API access token, without its secret."""

    id: RowId
    """The token's identifier."""
    name: str = Field(examples=["nightly-training"])
    """The token's name."""
    suffix: str
    """The last four characters of the token."""
    workspace_id: RowId
    """The token's workspace."""
    user_name: str = Field(validation_alias="user.username")
    """The account that it acts for."""
    creation_time: datetime = Field(validation_alias="created_at")
    """When it was created."""
    expiration_time: datetime = Field(validation_alias="expires_at")
    """When it expires."""
    last_use_time: datetime | None = Field(None, validation_alias="last_used_at")
    """When it was last used, to the minute."""


class TokensOut(PageOut):
    """API access tokens."""

    api_token_infos: list[TokenOut]
    """The newest first."""


@routes.post("/users/api-tokens", response=ERRORS, summary="Create no API access token")
@guarded(Action.CREATE_TOKEN)
def create_token(request: HttpRequest) -> None:
    """Always answers 403: tokens create no tokens. Users create them in the console.

    The address stays for clients of the original, so that they are told.
    """
    raise NotAllowed(TABLE[Action.CREATE_TOKEN].token_refusal)


@routes.get(
    "/users/api-tokens", response={200: TokensOut, **ERRORS}, summary="List API access tokens"
)
@guarded(Action.SEE_TOKENS)
def list_tokens(request: HttpRequest, asked: Query[PageIn]) -> dict[str, Any]:
    """Returns the tokens of the workspace: the user's own or, for users who manage tokens, all. In pages."""
    rows = tokens.visible_tokens(Actor.of(request), authenticate(request).workspace)
    found, token = page_of(rows, tokens.ORDER, asked.page_size, asked.page_token, descending=True)
    return {"api_token_infos": found, "next_page_token": token}


@routes.delete(
    "/users/api-tokens/{token_id}",
    response={200: Nothing, **ERRORS},
    summary="Revoke an API access token",
)
@guarded(Action.REVOKE_TOKEN)
def revoke_token(request: HttpRequest, token_id: UUID) -> dict[str, Any]:
    """Revokes a token of the same workspace, or the requesting token itself, at once."""
    actor = Actor.of(request)
    tokens.revoke_token(actor, tokens.token_of(actor, token_id))
    return {}
