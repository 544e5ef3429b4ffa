"""Operations on workspaces. Each is one transaction with its audit event."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction

from ri_platform.errors import Conflict, Invalid
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.models import Workspace


@dataclass(frozen=True)
class EditWorkspace:
    name: str
    description: str


def edit_workspace(actor: Actor, workspace: Workspace, command: EditWorkspace) -> Workspace:
    """Change a workspace's name and description. Raises `Conflict` if the name is taken."""
    require(actor, Action.EDIT_WORKSPACE, workspace)
    with transaction.atomic():
        locked = Workspace.objects.select_for_update().get(pk=workspace.pk)
        before = {"name": locked.name, "description": locked.description}
        locked.name, locked.description = valid_name(command), command.description
        after = {"name": locked.name, "description": locked.description}
        try:
            with transaction.atomic():
                locked.save(update_fields=["name", "description"])
        except IntegrityError as error:
            raise name_taken_error(command.name) from error
        record_about("workspace.edited", actor, locked, locked, before=before, after=after)
    return locked


def create_workspace(actor: Actor, command: EditWorkspace) -> Workspace:
    """Make a workspace. Raises `Conflict` if the name is taken, `Invalid` for an empty one."""
    require(actor, Action.CREATE_WORKSPACE)
    try:
        with transaction.atomic():
            workspace = Workspace.objects.create(
                name=valid_name(command), description=command.description
            )
            record_about(
                "workspace.created", actor, workspace, workspace, description=workspace.description
            )
    except IntegrityError as error:
        raise name_taken_error(command.name) from error
    return workspace


def remove_workspace(actor: Actor, workspace: Workspace, typed_name: str) -> None:
    """Remove a workspace with its memberships and tokens. The typed name confirms it.

    Managed images stay: they belong to the instance. Raises `Invalid` for another name.
    """
    require(actor, Action.REMOVE_WORKSPACE, workspace)
    if typed_name.strip() != workspace.name:
        raise Invalid(
            "This is not the workspace's name.",
            hint=f"Type {workspace.name} to remove it.",
            field="name",
        )
    with transaction.atomic():
        locked = Workspace.objects.select_for_update().filter(pk=workspace.pk).first()
        if locked is None:
            return
        record_about(
            "workspace.removed",
            actor,
            locked,
            locked,
            members=list(locked.members.values_list("username", flat=True)),
        )
        locked.delete()


def valid_name(command: EditWorkspace) -> str:
    name = command.name.strip()
    if not name:
        raise Invalid("A workspace needs a name.", field="name")
    return name


def name_taken_error(name: str) -> Conflict:
    return Conflict(
        f"There is a workspace named {name} already.", hint="Choose another name.", field="name"
    )
