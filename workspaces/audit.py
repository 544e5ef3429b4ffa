"""Writing the audit log. Every operation calls `record` inside its own transaction."""

from __future__ import annotations

from typing import Any

from workspaces.access import Actor
from workspaces.models import AuditEvent, Workspace


def record(
    event: str,
    actor: Actor | None,
    *,
    object_type: str,
    object_name: str,
    workspace: Workspace | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Add one event; `actor` is None when the platform itself acted."""
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
