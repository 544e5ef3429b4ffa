"""Authentication by API access token, in the original's header or as a Bearer token (RFC 6750)."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.security import APIKeyHeader, HttpBearer

from ri_platform.address import client_address
from workspaces.models import ApiToken
from workspaces.operations import tokens

HEADER = "rime-api-key"


def read_token(request: HttpRequest) -> str:
    """The token of a request, empty if there is none.

    The original's header comes first: its client may be behind a proxy that sets `Authorization`.
    """
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return request.headers.get(HEADER) or (bearer.strip() if scheme.lower() == "bearer" else "")


def authenticate(request: HttpRequest) -> ApiToken:
    """The request's token. Sets the request's user. Raises `Unauthenticated` and `TooManyRequests`.

    `workspaces.api.guard.guarded` calls it first, and the framework again.
    """
    token: ApiToken | None = getattr(request, "api_token", None)
    if token is None:
        token = tokens.authenticate(read_token(request), client_address(request))
        request.user, request.api_token = token.user, token  # type: ignore[attr-defined]
    return token


class ApiKey(APIKeyHeader):
    """The token in the header `rime-api-key`, as published; whatever brings it is found here as well."""

    param_name = HEADER
    openapi_description = "The header of the public client."

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiToken:
        return authenticate(request)


class Bearer(HttpBearer):
    """The token in `Authorization: Bearer`, as published. `ApiKey` comes first and has looked there, too."""

    openapi_description = (
        "The same token, as most tools send one. The header `rime-api-key` comes first."
    )

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:
        return authenticate(request)
