"""Operations that mail a link to choose a password: for an administrator, and for who forgot theirs."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from ri_platform.address import network_of
from ri_platform.errors import Invalid
from ri_platform.locks import hold_until_commit
from workspaces import audit, password_mail
from workspaces.access import Action, Actor, require
from workspaces.limits import count_failure
from workspaces.models import PasswordMail, User
from workspaces.operations.accounts import lock_account, record, require_over

HOUR = timedelta(hours=1)


def can_be_mailed(user: User) -> bool:
    """Whether a link reaches the account's owner by mail."""
    return settings.MAIL_CONFIGURED and bool(user.email)


def mail_password_link(actor: Actor, user: User, console: str) -> PasswordMail:
    """Mail the owner a one-time link to choose a password; `console` is the console's address.

    As with `password_link`, the present password stops working and sessions end. Raises `Invalid` if there
    is no mail server, or no address.
    """
    require(actor, Action.MANAGE_ACCOUNTS)
    with transaction.atomic():
        locked = lock_account(user)
        require_over(actor, locked.role)
        if not settings.MAIL_CONFIGURED:
            raise Invalid(
                "This instance has no mail server.",
                hint="Make a link and hand it over; an operator can set EMAIL_URL.",
            )
        if not locked.email:
            raise Invalid(
                f"{locked.username} has no e-mail address.", hint="Make a link and hand it over."
            )
        # Random rather than unusable: Django makes no links for accounts that cannot have a password.
        locked.set_password(secrets.token_urlsafe(32))
        locked.save(update_fields=["password"])
        mail = PasswordMail.objects.create(user=locked, to=locked.email, console=console)
        record("account.password_link_mailed", actor, locked, to=locked.email)
        password_mail.wake_after_commit()
    return mail


def ask_for_password_link(name: str, address: str | None, console: str) -> None:
    """Mail a link to the account of this name or e-mail address, if there is one that has both.

    Whoever asks learns nothing: it ends in the same way, after the same queries, in any case. The present
    password stays, so nobody keeps another out. Raises `TooManyRequests` by the client's address.
    """
    told = "Too many links were asked for from your address."
    count_failure(f"forgot {network_of(address)}", settings.MAX_FAILED_SIGN_INS, told)
    wanted = name.strip()[:254].replace("\x00", "")
    with transaction.atomic():
        # Two requests at once count each other.
        hold_until_commit("password mails")
        known: list[User | None] = [
            user for user in accounts_named(wanted) if user.has_usable_password()
        ]
        # Nobody gets the same queries as somebody, so that the time tells nothing either.
        for user in known or [None]:
            email = user.email if user else ""
            mailed = None if is_flooded(email) else user
            PasswordMail.objects.create(
                user=mailed, to=email if mailed else "", console=console, asked_by_owner=True
            )
            username = user.username if user else ""
            audit.record_sign_in("account.password_link_asked_for", username, address, user)
        password_mail.wake_after_commit()


def accounts_named(wanted: str) -> list[User]:
    """Active accounts with an e-mail address that is this one, or with this name."""
    if not wanted:
        return []
    found = User.objects.filter(Q(username__iexact=wanted) | Q(email__iexact=wanted))
    return list(found.filter(is_active=True).exclude(email="").order_by("pk")[:3])


def is_flooded(email: str) -> bool:
    """Whether the address got as many mails in the last hour as people may ask for themselves."""
    recent = PasswordMail.objects.filter(
        to__iexact=email, asked_by_owner=True, created_at__gt=timezone.now() - HOUR
    )
    return recent.count() >= settings.MAX_PASSWORD_MAILS
