"""Mail with a link to choose a password, sent by a webhooks worker from rows that outlive a dead server.

A worker takes a row before it sends the mail, so that no two workers send it, and holds no transaction open
meanwhile. One that dies in between leaves it waiting: at worst a mail comes twice. The link is made for each
attempt and is neither stored nor logged.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Callable
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from ri_platform.stopping import this_worker
from workspaces.models import MailState, PasswordMail, User

logger = logging.getLogger(__name__)

# After these many failures a mail waits so long; then it is given up.
WAITS = [timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200, 21_600)]
# Longer than a server can keep a worker, which waits EMAIL_TIMEOUT for each of its answers.
TAKEN = timedelta(minutes=5)
KEPT = timedelta(days=30)
SEND = "workspaces.tasks.send_mails"


class MailRefused(Exception):
    """The mail could not be sent, as a sentence; `final` if it never can be."""

    def __init__(self, sentence: str, *, final: bool = False) -> None:
        super().__init__(sentence)
        self.final = final


def wake_after_commit() -> None:
    """Wake a worker once the row is there. The scheduler finds it, too, if the broker is down."""
    transaction.on_commit(
        lambda: current_app.send_task(SEND, queue="webhooks", declare=()), robust=True
    )


def send_due_mails() -> int:
    """Send what is due, one transaction each; returns the number of mails that were sent.

    A worker that was told to stop leaves the rest to the next.
    """
    sent = 0
    while not this_worker.is_told and (state := send_next()) is not None:
        sent += state == MailState.SENT
    return sent


def send_next() -> MailState | None:
    """Try the mail that has been due longest. Returns its state, and None if none is due."""
    mail = take_next()
    if mail is None:
        return None
    if mail.user is None:
        mail.delete()
        return MailState.FAILED
    try:
        deliver(mail, mail.user)
    except MailRefused as error:
        note_failure(mail, error)
    else:
        mail.state, mail.error, mail.sent_at = MailState.SENT, "", timezone.now()
    columns = ("state", "error", "due_at", "sent_at")
    ours = PasswordMail.objects.filter(pk=mail.pk, attempts=mail.attempts)
    ours.update(**{name: getattr(mail, name) for name in columns})
    return MailState(mail.state)


def take_next() -> PasswordMail | None:
    """Take the mail that has been due longest: it is due again once this worker must have died."""
    due = PasswordMail.objects.filter(state=MailState.WAITING, due_at__lte=timezone.now())
    with transaction.atomic():
        free = due.select_for_update(skip_locked=True, of=("self",)).select_related("user")
        mail = free.order_by("due_at").first()
        if mail is not None:
            mail.attempts += 1
            mail.due_at = timezone.now() + TAKEN
            mail.save(update_fields=["attempts", "due_at"])
    return mail


def note_failure(mail: PasswordMail, error: MailRefused) -> None:
    mail.error = str(error)
    if error.final or mail.attempts > len(WAITS):
        mail.state = MailState.FAILED
    else:
        mail.due_at = timezone.now() + WAITS[mail.attempts - 1]
    logger.warning("a mail with a link was not sent: %s", error)


def deliver(mail: PasswordMail, user: User) -> None:
    """Send the mail with a new link. Raises `MailRefused`."""
    if not user.is_active or user.email != mail.to:
        raise MailRefused("The account was deactivated or has another address now.", final=True)
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("choose_password", args=[uid, default_token_generator.make_token(user)])
    context = {
        "account": user,
        "link": f"{mail.console}{path}",
        "mail": mail,
        "hours": settings.PASSWORD_RESET_TIMEOUT // 3600,
    }
    message = EmailMessage(
        "Choose a password for RI Platform",
        render_to_string("account/email/choose_password.txt", context),
        to=[mail.to],
        headers={"Auto-Submitted": "auto-generated"},
    )
    with_sentences(message.send)


def try_connection() -> None:
    """Connect to the mail server and sign in, for `manage.py doctor`. Raises `MailRefused`."""
    connection = get_connection()
    with_sentences(connection.open)
    connection.close()


def with_sentences(action: Callable[[], object]) -> None:
    """Call what talks to the mail server.

    Raises `MailRefused` in our own words: a server's answer may repeat what it was sent.
    """
    try:
        action()
    except smtplib.SMTPAuthenticationError as error:
        raise MailRefused(
            f"The mail server refused the user or the password ({error.smtp_code})."
        ) from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise MailRefused(
            f"The mail server refused the address ({codes[0]}).", final=codes[0] >= 500
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        raise MailRefused("The mail server does not offer what EMAIL_URL asks for.") from error
    except smtplib.SMTPResponseException as error:
        raise MailRefused(f"The mail server answered {error.smtp_code}.") from error
    except ssl.SSLCertVerificationError as error:
        raise MailRefused(
            f"The certificate of the mail server is not trusted: {error.verify_message}."
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise MailRefused(f"The mail server cannot be reached: {reason}.") from error


def forget_old_mails() -> None:
    """Delete rows of mails that ended long ago."""
    ended = PasswordMail.objects.exclude(state=MailState.WAITING)
    ended.filter(created_at__lt=timezone.now() - KEPT).delete()
