"""The REST endpoint for the roles of the token's account, at the original's path and in its words."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from django.http import HttpRequest
from pydantic import Field

from ri_platform.api import ERRORS, Camel, router
from workspaces.access import ORGANIZATION, Action, Actor, Permissions
from workspaces.api.guard import guarded
from workspaces.models import InstanceRole, WorkspaceRole

routes = router("Accounts", "Who is on the instance.")


class SubjectType(StrEnum):
    """The kind of object that a role is for."""

    ORGANIZATION = "SUBJECT_TYPE_ORGANIZATION"
    WORKSPACE = "SUBJECT_TYPE_WORKSPACE"


class ActorRole(StrEnum):
    """The original's roles, whatever they are for."""

    ADMIN = "ACTOR_ROLE_ADMIN"
    VP = "ACTOR_ROLE_VP"
    SUPPORT = "ACTOR_ROLE_SUPPORT"
    USER = "ACTOR_ROLE_USER"
    VIEWER = "ACTOR_ROLE_VIEWER"
    NONE = "ACTOR_ROLE_NONE"


# A basic user's role on the instance allows nothing that has to do with the organization.
OF_INSTANCE: dict[str, ActorRole] = {
    InstanceRole.ORGANIZATION_ADMINISTRATOR: ActorRole.ADMIN,
    InstanceRole.SUPPORT: ActorRole.SUPPORT,
    InstanceRole.BASIC: ActorRole.NONE,
}
OF_WORKSPACE: dict[str, ActorRole] = {
    WorkspaceRole.ADMINISTRATOR: ActorRole.ADMIN,
    WorkspaceRole.VP: ActorRole.VP,
    WorkspaceRole.MEMBER: ActorRole.USER,
    WorkspaceRole.VIEWER: ActorRole.VIEWER,
}


class RoleOut(Camel):
    """A role of the account."""

    subject_type: SubjectType
    """The kind of object that the role is for."""
    subject_id: str = Field(examples=["2f1c8d0e-5b7a-4c55-9f0e-6d3f8b1a7c21"])
    """The workspace's identifier; empty for the organization."""
    role: ActorRole
    """The role, in the original's words."""
    implicit_grant: bool
    """Whether the role follows from the one in the organization, without a membership."""


class RolesOut(Camel):
    """The roles of the account."""

    roles: list[RoleOut]
    """The role in the organization, then the one in the token's workspace."""


@routes.get("/users/roles", response={200: RolesOut, **ERRORS}, summary="List the token's roles")
@guarded(Action.SEE_WORKSPACES)
def list_current_user_roles(request: HttpRequest) -> dict[str, Any]:
    """Returns the roles that the token acts with: in the organization, and in its own workspace."""
    return {"roles": list(roles_of(Actor.of(request)))}


def roles_of(actor: Actor) -> Iterator[dict[str, Any]]:
    assert actor.token is not None
    organization = OF_INSTANCE[actor.user.role]
    yield {
        "subject_type": SubjectType.ORGANIZATION,
        "subject_id": "",
        "role": organization,
        "implicit_grant": False,
    }
    implicit = actor.user.role in ORGANIZATION
    member = Permissions(actor).roles.get(actor.token.workspace_id, "")
    if implicit or member:
        yield {
            "subject_type": SubjectType.WORKSPACE,
            "subject_id": str(actor.token.workspace_id),
            "role": organization if implicit else OF_WORKSPACE[member],
            "implicit_grant": implicit,
        }
