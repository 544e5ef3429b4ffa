"""REST endpoints for links to choose a password by mail. They call the console's operation."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from pydantic import Field

from ri_platform.address import console_of
from ri_platform.api import ERRORS, Camel, router
from ri_platform.errors import NotFound
from workspaces.access import Action, Actor
from workspaces.api.guard import guarded
from workspaces.models import MailState, PasswordMail
from workspaces.operations import accounts
from workspaces.operations.password_mail import mail_password_link

routes = router("Accounts", "Who is on the instance.")


class PasswordMailOut(Camel):
    """A mail with a link to choose a password. The link itself is in the mail alone."""

    to: str = Field(examples=["ada@example.org"])
    """The address that it goes to."""
    state: MailState
    """`waiting`, `sent` (the mail server took it) or `failed` (it is not tried again)."""
    error: str
    """Why it was not sent yet, as a sentence."""
    attempts: int
    """The number of attempts."""
    creation_time: datetime = Field(validation_alias="created_at")
    """When it was asked for."""
    sent_time: datetime | None = Field(None, validation_alias="sent_at")
    """When the mail server took it."""


@routes.post(
    "/users/{user_id}:mailPasswordLink",
    response={200: PasswordMailOut, **ERRORS},
    summary="Mail a link to choose a password with",
)
@guarded(Action.MANAGE_ACCOUNTS)
def mail_link(request: HttpRequest, user_id: int) -> PasswordMail:
    """Mails a link for choosing a password. The current password stops working, and sessions end.

    400 if the instance has no mail server, or the account no address.
    """
    actor = Actor.of(request)
    return mail_password_link(actor, accounts.account_of(actor, user_id), console_of(request))


@routes.get(
    "/users/{user_id}/password-mail",
    response={200: PasswordMailOut, **ERRORS},
    summary="Get the last mail with a link",
)
@guarded(Action.MANAGE_ACCOUNTS)
def get_password_mail(request: HttpRequest, user_id: int) -> PasswordMail:
    """Returns what became of the newest mail with a link that an administrator asked for."""
    account = accounts.account_of(Actor.of(request), user_id)
    found = account.password_mails.filter(asked_by_owner=False).order_by("-pk").first()
    if found is None:
        raise NotFound(f"No link was mailed to {account.username}.")
    return found
