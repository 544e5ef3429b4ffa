"""Celery tasks of this app."""

from __future__ import annotations

from celery import shared_task

from workspaces import audit, limits


@shared_task
def prune_audit_log() -> None:
    """Take away audit events that are older than they are kept, and counts of failures long past."""
    audit.prune()
    limits.forget_old_failures()
