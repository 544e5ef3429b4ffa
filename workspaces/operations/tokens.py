"""API access tokens: creation, revocation, and lookup for a request.

A token is 256 random bits, so a plain SHA-256 protects it as well as the slow hash that passwords need, and
an index can look it up. It acts for its user in its workspace with that account's privileges there, and only
while the account is active and sees the workspace. It cannot create tokens.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from ri_platform.address import network_of
from ri_platform.errors import Conflict, Invalid, NotFound, Unauthenticated
from ri_platform.locks import hold_until_commit
from ri_platform.ready import Given, Ready
from workspaces import audit
from workspaces.access import Action, Actor, allows, require
from workspaces.limits import count_failure
from workspaces.models import ApiToken, InstanceRole, Workspace

PREFIX = "ri_"
WRONG = "Too many requests with a wrong API access token came from your address."
# Precision of "last used": a busy token must not write a row with each request.
LAST_USE_SECONDS = 60
# The order of a workspace's tokens, the newest first.
ORDER = ("created_at", "id")


@dataclass(frozen=True)
class NewToken:
    """A new token. `secret` is shown once and not stored."""

    token: ApiToken
    secret: str


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


def visible_tokens(actor: Actor, workspace: Workspace) -> QuerySet[ApiToken]:
    """A workspace's tokens: all of them for actors who manage tokens, else the actor's own.

    Lists show the newest first, in the order of `ORDER`.
    """
    tokens = workspace.tokens.select_related("user")
    if allows(actor, Action.MANAGE_TOKENS, workspace):
        return tokens
    return tokens.filter(user=actor.user)


def living_tokens() -> QuerySet[ApiToken]:
    """The instance's tokens that have not expired, to which the limit applies."""
    return ApiToken.objects.filter(expires_at__gt=timezone.now())


def limit() -> int:
    return int(settings.MAX_API_TOKENS)


def create_token(
    actor: Actor, workspace: Workspace, name: str, *, days: int | None = None
) -> NewToken:
    """Make a token of the actor's for a workspace; `days` shortens its life.

    Raises `Conflict` if the actor has one of this name there, or the instance has as many as it may, and
    `NotAllowed` if the actor uses a token.
    """
    require(actor, Action.CREATE_TOKEN, workspace)
    name = name.strip()
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise Invalid(
            "A token needs a name of 1 to 120 characters.",
            hint="Name it after what will use it.",
            field="name",
        )
    expires_at = expiry(days)
    # Letters and digits only: a double click selects all of it.
    secret = PREFIX + secrets.token_hex(32)
    with transaction.atomic():
        hold_until_commit("api tokens")
        if living_tokens().count() >= limit():
            raise Conflict(
                f"This instance has {limit()} API access tokens, which is the limit.",
                hint="Revoke one that is no longer used.",
            )
        try:
            with transaction.atomic():
                token = ApiToken.objects.create(
                    workspace=workspace,
                    user=actor.user,
                    name=name,
                    secret_hash=hash_of(secret),
                    suffix=secret[-4:],
                    expires_at=expires_at,
                )
        except IntegrityError as error:
            raise Conflict(
                f"You have a token named {name} in this workspace already.",
                hint="Choose another name.",
                field="name",
            ) from error
        record("token.created", actor, token)
    return NewToken(token, secret)


def expiry(days: int | None) -> datetime:
    if days is not None and not 1 <= days <= settings.API_TOKEN_DAYS:
        raise Invalid(f"A token lives 1 to {settings.API_TOKEN_DAYS} days.", field="expiry_days")
    return timezone.now() + timedelta(days=days or settings.API_TOKEN_DAYS)


def revoke_token(actor: Actor, token: ApiToken) -> None:
    """Revoke a token at once. Its user and the managers of the workspace's tokens may do it."""
    own = token.user_id == actor.user.pk
    require(actor, Action.REVOKE_TOKEN if own else Action.MANAGE_TOKENS, token.workspace)
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk).delete()[0]:
            record("token.revoked", actor, token)


def token_of(actor: Actor, token_id: UUID) -> ApiToken:
    """The token, if `actor` may see it; with a token, one of the same workspace. Raises `NotFound`."""
    tokens = ApiToken.objects.select_related("workspace", "user")
    if actor.token is not None:
        tokens = tokens.filter(workspace=actor.token.workspace_id)
    token = tokens.filter(pk=token_id).first()
    if token is None or not visible_tokens(actor, token.workspace).filter(pk=token.pk).exists():
        raise NotFound("There is no such API access token.")
    return token


def record(event: str, actor: Actor, token: ApiToken) -> None:
    audit.record(
        event,
        actor,
        object_type="api_token",
        object_name=token.name,
        workspace=token.workspace,
        details={"user": token.user.username, "suffix": token.suffix},
    )


# --- requests that bring one --------------------------------------------------------------------------------


TOKEN: Ready[ApiToken] = Ready(
    lambda: (
        ApiToken.objects.select_related("user", "workspace")
        .filter(secret_hash=Given("hash"), expires_at__gt=Given("now"), user__is_active=True)
        .filter(
            Q(user__role__in=[InstanceRole.ORGANIZATION_ADMINISTRATOR, InstanceRole.SUPPORT])
            | Q(user__memberships__workspace=F("workspace"))
        )[:1]
    )
)


def authenticate(secret: str, address: str | None) -> ApiToken:
    """The token with this secret. Raises `Unauthenticated`, or `TooManyRequests` after many failures.

    Only failures are limited, by client address. A valid token is accepted from any address,
    so nobody can lock out another user's token by guessing.
    """
    now = timezone.now()
    token = TOKEN.first(hash=hash_of(secret), now=now) if secret.isascii() else None
    if token is None:
        if secret:
            # `count_failure` raises after too many failures.
            count_failure(
                f"token {network_of(address)}", settings.MAX_FAILED_AUTHENTICATIONS, WRONG
            )
        raise Unauthenticated(
            "The API access token is missing, wrong, expired or revoked.",
            hint="Create one under API Access Tokens in a workspace's settings, and send it in the "
            "header rime-api-key, or as Authorization: Bearer.",
            given=bool(secret),
        )
    if token.last_used_at is None or (now - token.last_used_at).total_seconds() > LAST_USE_SECONDS:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token
