"""Celery tasks of this app."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from celery import shared_task
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db.models import Exists, OuterRef

from workspaces import audit, limits, password_mail


@shared_task
def prune_audit_log() -> None:
    """Delete audit events past their retention, old counts of failures and records of mails."""
    audit.prune()
    limits.forget_old_failures()
    password_mail.forget_old_mails()


@shared_task
def send_mails() -> None:
    """Send the mails that are due. Runs on the webhooks queue, whose workers have no AWS identity."""
    password_mail.send_due_mails()


@shared_task
def clear_sessions() -> None:
    """Delete expired sessions and the records of their addresses and browsers."""
    call_command("clearsessions")
    alive = Session.objects.filter(session_key=OuterRef("session_key"))
    UserSession.objects.filter(~Exists(alive)).delete()
