"""Roles from a claim of the identity provider (`RI_SSO_ROLE_CLAIM`, `RI_SSO_ROLES`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from allauth.socialaccount.helpers import render_authentication_error
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from onelogin.saml2.errors import OneLogin_Saml2_Error
from requests import RequestException

from ri_platform.errors import Conflict, Invalid
from workspaces import audit
from workspaces.models import InstanceRole, User
from workspaces.operations import accounts

logger = logging.getLogger(__name__)

BY = {"by": "single sign-on"}
# The first role in this order that a claim gives wins.
MOST_FIRST = (InstanceRole.ORGANIZATION_ADMINISTRATOR, InstanceRole.SUPPORT, InstanceRole.BASIC)


def role_of(claims: dict[str, Any]) -> InstanceRole | None:
    """The role from `claims`: the most privileged one; a basic user if there is none.

    None if the installation takes no roles from claims.
    """
    if not settings.SSO_ROLE_CLAIM:
        return None
    value: Any = claims
    # Some providers nest the claim, as in `realm_access.roles`; others use an address with dots as its name.
    if settings.SSO_ROLE_CLAIM in claims:
        value = claims[settings.SSO_ROLE_CLAIM]
    else:
        for part in settings.SSO_ROLE_CLAIM.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    given = value if isinstance(value, list) else [value]
    found = {settings.SSO_ROLES.get(str(one)) for one in given}
    return next((role for role in MOST_FIRST if role in found), InstanceRole.BASIC)


def follow_role(user: User, claims: dict[str, Any]) -> None:
    """Give an account the role from its claims. The last organization administrator keeps the role."""
    role = role_of(claims)
    if role is None or role == user.role:
        return
    with transaction.atomic():
        locked = accounts.lock_account(user)
        try:
            if role != InstanceRole.ORGANIZATION_ADMINISTRATOR:
                accounts.refuse_last_administrator(locked)
        except Conflict as error:
            logger.warning("the role of %r was left as it is: %s", user.username, error)
            return
        before, user.role = user.role, role
        User.objects.filter(pk=user.pk).update(role=role)
        record("account.role_changed", user, before=before, role=role)


def record_first_sign_in(user: User, address: str | None) -> None:
    """Record the account that a first sign-in created."""
    record("account.created", user, role=user.role, address=address)


def record(event: str, user: User, **details: Any) -> None:
    audit.record(
        event, None, object_type="user", object_name=user.username, details={**BY, **details}
    )


V = TypeVar("V", bound=Callable[..., Any])


def leading_to_provider(view: V) -> V:
    """The library's view that redirects to an identity provider, with two restrictions.

    It does not connect an identity to the signed-in account, which the console does not offer. If a provider
    is down or its metadata is malformed, the user sees a sentence.
    """

    @wraps(view)
    def signing_in(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.GET.get("process", "login") != "login":
            raise Invalid("This address only leads to signing in.")
        try:
            return view(request, *args, **kwargs)
        except (RequestException, OneLogin_Saml2_Error, OSError) as error:
            return render_authentication_error(request, None, exception=error)

    return cast(V, signing_in)
