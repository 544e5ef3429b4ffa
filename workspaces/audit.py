"""The audit log: every operation records one event inside its own transaction.

A trigger on the table refuses updates and deletes. Only `prune` deletes events, once they are older than
`RI_AUDIT_DAYS`, and it records an event itself.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, ClassVar, Protocol

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from workspaces.access import Actor
from workspaces.models import AuditEvent, User, Workspace

# The trigger allows deletes in a transaction that has this setting.
PRUNING = "SET LOCAL ri.pruning = 'on'"


def record(
    event: str,
    actor: Actor | None,
    *,
    object_type: str,
    object_name: str,
    workspace: Workspace | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Add one event; `actor` is None if the platform acted, or an unknown user."""
    AuditEvent.objects.create(
        event=event,
        user=actor.user if actor else None,
        username=actor.user.username if actor else "",
        role=actor.user.role if actor else "",
        token_name=actor.token.name if actor and actor.token else "",
        address=actor.address if actor else None,
        object_type=object_type,
        object_name=object_name,
        workspace_name=workspace.name if workspace else "",
        details=details or {},
    )


class NamedRow(Protocol):
    """A row that events are about: the log names its type and its name."""

    audit_type: ClassVar[str]

    @property
    def name(self) -> str: ...


def record_about(
    event: str,
    actor: Actor | None,
    row: NamedRow,
    workspace: Workspace | None = None,
    /,
    **details: Any,
) -> None:
    """Add one event about a row, with its details by name."""
    record(
        event,
        actor,
        object_type=row.audit_type,
        object_name=row.name,
        workspace=workspace,
        details=details,
    )


def record_sign_in(
    event: str, username: str, address: str | None, user: User | None, **details: Any
) -> None:
    """Record a sign-in, a sign-out or a failed sign-in; `user` is None if the account is unknown."""
    AuditEvent.objects.create(
        event=event,
        user=user,
        username=username[:150],
        role=user.role if user else "",
        address=address,
        object_type="session",
        object_name=username[:255],
        details=details,
    )


def events(
    *,
    event: str = "",
    username: str = "",
    object_name: str = "",
    since: date | None = None,
    until: date | None = None,
) -> QuerySet[AuditEvent]:
    """Events, newest first; `event` may be the beginning of one, `until` is included."""
    found = AuditEvent.objects.order_by("-pk")
    if event:
        found = found.filter(event__startswith=event)
    if username:
        found = found.filter(username=username)
    if object_name:
        found = found.filter(object_name=object_name)
    if since:
        found = found.filter(at__date__gte=since)
    if until:
        found = found.filter(at__date__lte=until)
    return found


def prune() -> int:
    """Delete events past their retention and record that; returns their number."""
    limit = timezone.now() - timedelta(days=settings.AUDIT_DAYS)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(PRUNING)
        gone, _ = AuditEvent.objects.filter(at__lt=limit).delete()
        if gone:
            record(
                "audit.pruned",
                None,
                object_type="audit_log",
                object_name="audit log",
                details={"events": gone, "before": limit.isoformat()},
            )
    return gone
