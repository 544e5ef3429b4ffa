"""Operations on the members of a workspace. Each is one transaction with its audit event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from ri_platform.errors import Conflict, Invalid, NotFound
from ri_platform.numbers import number_of
from workspaces import audit
from workspaces.access import WORKSPACE_ADMINISTRATORS, Action, Actor, require
from workspaces.models import Membership, User, Workspace, WorkspaceRole

# The order of a workspace's members: by their names.
ORDER = ("user__username",)


def candidates(workspace: Workspace, search: str) -> QuerySet[User]:
    """Active accounts that are not members yet and whose name or address begins with the typed text."""
    words = search.strip()[:100].replace("\x00", "")
    users = User.objects.filter(is_active=True).exclude(memberships__workspace=workspace)
    if words:
        users = users.filter(
            Q(username__istartswith=words)
            | Q(email__istartswith=words)
            | Q(first_name__istartswith=words)
            | Q(last_name__istartswith=words)
        )
    return users.order_by("username")


def add_members(
    actor: Actor, workspace: Workspace, users: Iterable[User], role: str
) -> list[Membership]:
    """Make accounts members. Existing members are not changed."""
    require(actor, Action.MANAGE_MEMBERS, workspace)
    refuse_unknown_role(role)
    added = []
    with transaction.atomic():
        for user in users:
            membership, created = workspace.memberships.get_or_create(
                user=user, defaults={"role": role}
            )
            if created:
                added.append(membership)
                record("workspace.member_added", actor, membership, role=role)
    return added


def edit_member(actor: Actor, membership: Membership, role: str) -> Membership:
    """Change a member's role. Raises `Conflict` if the workspace would have no administrator left."""
    require(actor, Action.MANAGE_MEMBERS, membership.workspace)
    refuse_unknown_role(role)
    with transaction.atomic():
        locked = lock_membership(membership)
        if role not in WORKSPACE_ADMINISTRATORS:
            refuse_last_administrator(locked)
        before, locked.role = locked.role, role
        if before != role:
            locked.save(update_fields=["role"])
            record("workspace.member_edited", actor, locked, before=before, role=role)
    return locked


def remove_member(actor: Actor, membership: Membership) -> None:
    """End a membership; the member's tokens for the workspace end with it.

    Raises `Conflict` if the workspace would have no administrator left.
    """
    require(actor, Action.MANAGE_MEMBERS, membership.workspace)
    with transaction.atomic():
        locked = lock_membership(membership)
        refuse_last_administrator(locked)
        locked.workspace.tokens.filter(user=locked.user).delete()
        record("workspace.member_removed", actor, locked, role=locked.role)
        locked.delete()


def membership_of(workspace: Workspace, user_id: int) -> Membership:
    """Raises `NotFound`."""
    rows = workspace.memberships.select_related("user", "workspace")
    wanted = number_of(user_id, 31)
    found = None if wanted is None else rows.filter(user=wanted).first()
    if found is None:
        raise NotFound("There is no such member of this workspace.")
    return found


def lock_membership(membership: Membership) -> Membership:
    """The row, with its workspace locked: two administrators cannot remove each other at the same time."""
    Workspace.objects.select_for_update().get(pk=membership.workspace_id)
    return membership_of(membership.workspace, membership.user_id)


def refuse_unknown_role(role: str) -> None:
    if role not in WorkspaceRole.values:
        raise Invalid(f"There is no role {role!r} in a workspace.", field="role")


def refuse_last_administrator(membership: Membership) -> None:
    if membership.role not in WORKSPACE_ADMINISTRATORS:
        return
    others = membership.workspace.memberships.filter(
        role__in=WORKSPACE_ADMINISTRATORS, user__is_active=True
    ).exclude(pk=membership.pk)
    if not others.exists():
        raise Conflict(
            f"{membership.user.username} is the last administrator of {membership.workspace.name}.",
            hint="Make somebody else its administrator first.",
        )


def record(event: str, actor: Actor, membership: Membership, **details: Any) -> None:
    audit.record(
        event,
        actor,
        object_type="user",
        object_name=membership.user.username,
        workspace=membership.workspace,
        details=details,
    )
