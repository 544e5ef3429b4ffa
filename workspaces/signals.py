"""Signing in, signing out and failing to are events of the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from ri_platform.address import client_address
from workspaces import audit
from workspaces.models import User


@receiver(user_logged_in)
def signed_in(sender: object, request: HttpRequest, user: User, **signal: Any) -> None:
    audit.record_sign_in("session.started", user.username, address_of(request), user)


@receiver(user_logged_out)
def signed_out(sender: object, request: HttpRequest, user: User | None, **signal: Any) -> None:
    if user is not None:
        audit.record_sign_in("session.ended", user.username, address_of(request), user)


@receiver(user_login_failed)
def failed(
    sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **signal: Any
) -> None:
    """The name that was tried is kept, as far as it could be one; a password typed there is not."""
    username = str(credentials.get("username", "")).replace("\x00", "")
    known = User.objects.filter(username=username).first()
    audit.record_sign_in("session.failed", username if known else "", address_of(request), known)


def address_of(request: HttpRequest | None) -> str | None:
    return client_address(request) if request else None
