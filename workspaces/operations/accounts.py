"""Operations on the accounts of the organization. Each is one transaction with its audit event."""

from __future__ import annotations

import secrets
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from ri_platform.errors import Conflict, Invalid, NotFound
from ri_platform.locks import hold_until_commit
from ri_platform.numbers import number_of
from workspaces import audit
from workspaces.access import Action, Actor, require
from workspaces.models import InstanceRole, MailState, User


def create_account(actor: Actor, username: str, *, email: str = "", role: str) -> User:
    """Make an account without a password; `password_link` lets its owner choose one.

    Raises `Conflict` if the name is taken.
    """
    require(actor, Action.MANAGE_ACCOUNTS)
    refuse_unknown_role(role)
    require_over(actor, role)
    username = username.strip()
    try:
        UnicodeUsernameValidator()(username)
    except ValidationError as error:
        raise Invalid(str(error.messages[0]), field="username") from error
    if len(username) > 150:
        raise Invalid("A username has at most 150 characters.", field="username")
    if email:
        try:
            validate_email(email)
        except ValidationError as error:
            raise Invalid("This is not an e-mail address.", field="email") from error
    try:
        with transaction.atomic():
            user = User(username=username, email=email, role=role)
            user.set_unusable_password()
            user.save()
            record("account.created", actor, user, role=role)
    except IntegrityError as error:
        raise Conflict(
            f"There is an account named {username} already.",
            hint="Choose another username.",
            field="username",
        ) from error
    return user


def change_role(actor: Actor, user: User, role: str) -> User:
    """Give an account another instance role, from its next request on.

    Raises `Conflict` if the organization would have no administrator left.
    """
    require(actor, Action.MANAGE_ACCOUNTS)
    refuse_unknown_role(role)
    with transaction.atomic():
        locked = lock_account(user)
        require_over(actor, locked.role, role)
        if role != InstanceRole.ORGANIZATION_ADMINISTRATOR:
            refuse_last_administrator(locked)
        before, locked.role = locked.role, role
        if before != role:
            locked.save(update_fields=["role"])
            record("account.role_changed", actor, locked, before=before, role=role)
    return locked


def deactivate_account(actor: Actor, user: User) -> User:
    """Keep an account from signing in; its sessions and tokens stop working at once.

    Raises `Conflict` for one's own account, and if the organization would have no administrator left.
    """
    require(actor, Action.MANAGE_ACCOUNTS)
    if user.pk == actor.user.pk:
        raise Conflict("This is your own account.", hint="Let another administrator do it.")
    with transaction.atomic():
        locked = lock_account(user)
        require_over(actor, locked.role)
        refuse_last_administrator(locked)
        if locked.is_active:
            locked.is_active = False
            locked.save(update_fields=["is_active"])
            record("account.deactivated", actor, locked)
    return locked


def reactivate_account(actor: Actor, user: User) -> User:
    """Let an account sign in again."""
    require(actor, Action.MANAGE_ACCOUNTS)
    with transaction.atomic():
        locked = lock_account(user)
        require_over(actor, locked.role)
        if not locked.is_active:
            locked.is_active = True
            locked.save(update_fields=["is_active"])
            record("account.reactivated", actor, locked)
    return locked


def password_link(actor: Actor, user: User) -> tuple[str, str]:
    """The parts of a one-time link to choose a password: (uid, token).

    The present password stops working, and open sessions end. The link works once, for as long as
    `PASSWORD_RESET_TIMEOUT` says. It takes the place of one that waits to be mailed.
    """
    require(actor, Action.MANAGE_ACCOUNTS)
    with transaction.atomic():
        locked = lock_account(user)
        require_over(actor, locked.role)
        # Random rather than unusable: Django makes no links for accounts that cannot have a password.
        locked.set_password(secrets.token_urlsafe(32))
        locked.save(update_fields=["password"])
        locked.password_mails.filter(state=MailState.WAITING).update(
            state=MailState.FAILED, error="A link was made to be handed over instead."
        )
        record("account.password_link_made", actor, locked)
    return urlsafe_base64_encode(force_bytes(locked.pk)), default_token_generator.make_token(locked)


def remove_second_factors(actor: Actor, user: User) -> User:
    """Remove an account's second factors, so that the password suffices again, and end its sessions.

    Each removed second factor is an audit event, too.
    """
    require(actor, Action.MANAGE_ACCOUNTS)
    with transaction.atomic():
        locked = lock_account(user)
        require_over(actor, locked.role)
        Authenticator.objects.filter(user=locked).delete()
        sessions = UserSession.objects.filter(user=locked)
        record("account.second_factors_removed", actor, locked, sessions_ended=sessions.count())
        get_adapter().end_sessions(sessions)
    return locked


def search(words: str) -> QuerySet[User]:
    """Accounts by name; with `words`, those whose name or address has them."""
    users = User.objects.order_by("username")
    if words := words.strip()[:100].replace("\x00", ""):
        users = users.filter(Q(username__icontains=words) | Q(email__icontains=words))
    return users


def account_of(actor: Actor, user_id: int) -> User:
    """Raises `NotFound`."""
    require(actor, Action.SEE_ORGANIZATION)
    wanted = number_of(user_id, 31)
    found = None if wanted is None else User.objects.filter(pk=wanted).first()
    if found is None:
        raise NotFound("There is no such account.")
    return found


def require_over(actor: Actor, *roles: str) -> None:
    """Raise `NotAllowed` if the actor may not give or change one of `roles`."""
    if InstanceRole.ORGANIZATION_ADMINISTRATOR in roles:
        require(actor, Action.APPOINT_ADMINISTRATORS)


def lock_account(user: User) -> User:
    """The locked row. It serializes changes: two administrators cannot demote each other at once."""
    hold_until_commit("accounts")
    return User.objects.select_for_update().get(pk=user.pk)


def refuse_unknown_role(role: str) -> None:
    if role not in InstanceRole.values:
        raise Invalid(f"There is no instance role {role!r}.", field="role")


def refuse_last_administrator(user: User) -> None:
    if user.role != InstanceRole.ORGANIZATION_ADMINISTRATOR or not user.is_active:
        return
    others = User.objects.filter(
        role=InstanceRole.ORGANIZATION_ADMINISTRATOR, is_active=True
    ).exclude(pk=user.pk)
    if not others.exists():
        raise Conflict(
            f"{user.username} is the last Organization Administrator.",
            hint="Make somebody else one first.",
        )


def record(event: str, actor: Actor, user: User, **details: Any) -> None:
    audit.record(event, actor, object_type="user", object_name=user.username, details=details)
