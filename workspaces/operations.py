"""What people do with workspaces: one function a verb, each one transaction with its audit event."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction

from ri_platform.errors import Conflict
from workspaces import audit
from workspaces.access import Action, Actor, require
from workspaces.models import Workspace


@dataclass(frozen=True)
class EditWorkspace:
    name: str
    description: str


def edit_workspace(actor: Actor, workspace: Workspace, command: EditWorkspace) -> Workspace:
    """Change a workspace's name and description. Raises `Conflict` if the name is taken."""
    require(actor.user, Action.EDIT_WORKSPACE, workspace)
    with transaction.atomic():
        locked = Workspace.objects.select_for_update().get(pk=workspace.pk)
        before = {"name": locked.name, "description": locked.description}
        locked.name, locked.description = command.name, command.description
        try:
            with transaction.atomic():
                locked.save(update_fields=["name", "description"])
        except IntegrityError as error:
            raise Conflict(
                f"There is a workspace named {command.name} already.",
                hint="Choose another name.",
                field="name",
            ) from error
        audit.record(
            "workspace.edited",
            actor,
            object_type="workspace",
            object_name=locked.name,
            workspace=locked,
            details={"before": before},
        )
    return locked
