"""Signal receivers that record sign-ins, sign-outs and changes of second factors in the audit log."""

from __future__ import annotations

import time
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.signals import password_changed
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from ri_platform.address import client_address
from workspaces import audit
from workspaces.access import Actor
from workspaces.models import User
from workspaces.operations import own_account


@receiver(user_logged_in)
def record_sign_in(sender: object, request: HttpRequest, user: User, **signal: Any) -> None:
    request.session["begun_at"] = request.session["seen_at"] = int(time.time())
    records = get_authentication_records(request, user)
    by = [str(record.get("type") or record["method"]) for record in records]
    audit.record_sign_in("session.started", user.username, address_of(request), user, by=by)


@receiver(user_logged_out)
def record_sign_out(sender: object, request: HttpRequest, user: User | None, **signal: Any) -> None:
    if user is not None:
        audit.record_sign_in("session.ended", user.username, address_of(request), user)


@receiver(user_login_failed)
def record_failed_sign_in(
    sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **signal: Any
) -> None:
    """Record the name if it is a valid one; a password typed into the name's field is not stored."""
    username = str(credentials.get("username", "")).replace("\x00", "")
    known = User.objects.filter(username__iexact=username).first()
    name = known.username if known else ""
    audit.record_sign_in("session.failed", name, address_of(request), known)
    if request is not None:
        request.failure_is_recorded = True  # type: ignore[attr-defined]


@receiver(authentication_failed)
def record_failed_second_step(
    sender: object,
    request: HttpRequest,
    user: User,
    authenticator: Authenticator,
    reauthentication: bool = False,
    **signal: Any,
) -> None:
    if not reauthentication:
        audit.record_sign_in(
            "session.failed", user.username, address_of(request), user, by=[authenticator.type]
        )


@receiver(password_changed)
def record_own_password_change(
    sender: object, request: HttpRequest, user: User, **signal: Any
) -> None:
    own_account.record("account.password_changed", Actor.of(request), by="owner")


@receiver(post_save, sender=Authenticator)
def record_added_second_factor(
    sender: object, instance: Authenticator, created: bool, **signal: Any
) -> None:
    if created:
        record_second_factor("account.second_factor_added", instance)


@receiver(post_delete, sender=Authenticator)
def record_removed_second_factor(sender: object, instance: Authenticator, **signal: Any) -> None:
    record_second_factor("account.second_factor_removed", instance)


def record_second_factor(event: str, authenticator: Authenticator) -> None:
    """A signal receiver, because the library makes the change, in its own transaction."""
    request = context.request
    signed_in = request is not None and isinstance(request.user, User)
    audit.record(
        event,
        Actor.of(request) if signed_in else None,
        object_type="user",
        object_name=authenticator.user.get_username(),
        details={"type": authenticator.type},
    )


def address_of(request: HttpRequest | None) -> str | None:
    return client_address(request) if request else None
