"""Celery tasks of this app."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from celery import shared_task
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db.models import Exists, OuterRef

from workspaces import audit, limits


@shared_task
def prune_audit_log() -> None:
    """Take away audit events that are older than they are kept, and counts of failures long past."""
    audit.prune()
    limits.forget_old_failures()


@shared_task
def clear_sessions() -> None:
    """Take away sessions that have expired, and what was known of where they were opened."""
    call_command("clearsessions")
    alive = Session.objects.filter(session_key=OuterRef("session_key"))
    UserSession.objects.filter(~Exists(alive)).delete()
