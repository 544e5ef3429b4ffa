"""The doctor's trial of the mail server, on the worker that sends mail."""

from __future__ import annotations

from django.conf import settings

from images.doctor.findings import Finding, failure, ok, skip
from workspaces.password_mail import MailRefused, try_connection


def mail_server() -> Finding:
    """Connect, encrypt and sign in, as for a mail; nothing is sent."""
    what = "Webhooks worker: mail server"
    if not settings.MAIL_CONFIGURED:
        return skip(
            what,
            "None is configured: administrators hand links to choose a password over.",
            "If links are to be mailed: set EMAIL_URL and RI_EMAIL_FROM.",
        )
    try:
        try_connection()
    except MailRefused as error:
        return failure(
            what, str(error), "Look at EMAIL_URL, and at the worker's way to the mail server."
        )
    return ok(what, f"{settings.EMAIL_HOST} answers, and takes the user and the password, if any.")
