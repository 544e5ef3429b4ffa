"""REST endpoints for workspaces and API access tokens, at the original's paths, and their authentication."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Line, Lines, router
from ri_platform.text import column_length
from workspaces.access import Action, Actor
from workspaces.api.guard import Id, Nothing, guarded
from workspaces.models import Workspace
from workspaces.operations import workspaces as operations

routes = router("Workspaces", "Where people organize their work.")


class WorkspaceOut(Camel):
    """A workspace."""

    workspace_id: Id
    """The workspace's identifier."""
    name: str = Field(examples=["Pricing"])
    """Its name, which is unique on the instance."""
    description: str = Field(examples=["Models that set prices."])
    """What it is for."""
    creation_time: datetime
    """When it was created."""


class WorkspacesOut(Camel):
    """Workspaces."""

    workspaces: list[WorkspaceOut]
    """By name."""


class WorkspaceIn(Camel):
    """What people say of a workspace."""

    name: Line = Field(
        min_length=1, max_length=column_length(Workspace, "name"), examples=["Pricing"]
    )
    """Its name, which is unique on the instance."""
    description: Lines = Field(
        "", max_length=column_length(Workspace, "description"), examples=["Models that set prices."]
    )
    """What it is for."""


@routes.get("/workspace", response={200: WorkspacesOut, **ERRORS}, summary="List workspaces")
@guarded(Action.SEE_WORKSPACES)
def list_workspaces(request: HttpRequest) -> dict[str, Any]:
    """The token's own workspace: a token sees no other."""
    found = Workspace.objects.visible_to(Actor.of(request))
    return {"workspaces": [described(workspace) for workspace in found]}


@routes.get(
    "/workspace/{workspace_id}", response={200: WorkspaceOut, **ERRORS}, summary="Get a workspace"
)
@guarded(Action.SEE_WORKSPACE)
def get_workspace(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """The token's own workspace; any other is not found."""
    return described(workspace)


@routes.put(
    "/workspace/{workspace_id}",
    response={200: WorkspaceOut, **ERRORS},
    summary="Change a workspace's name and description",
)
@guarded(Action.EDIT_WORKSPACE)
def edit_workspace(
    request: HttpRequest, workspace: Workspace, wanted: WorkspaceIn
) -> dict[str, Any]:
    """Both are set to what is given."""
    command = operations.EditWorkspace(wanted.name, wanted.description)
    return described(operations.edit_workspace(Actor.of(request), workspace, command))


@routes.post("/workspace", response={200: WorkspaceOut, **ERRORS}, summary="Create a workspace")
@guarded(Action.CREATE_WORKSPACE)
def create_workspace(request: HttpRequest, wanted: WorkspaceIn) -> dict[str, Any]:
    """It has no members yet. What is done in it takes a token of its own, made in the console."""
    command = operations.EditWorkspace(wanted.name, wanted.description)
    return described(operations.create_workspace(Actor.of(request), command))


@routes.delete(
    "/workspace/{workspace_id}", response={200: Nothing, **ERRORS}, summary="Remove a workspace"
)
@guarded(Action.REMOVE_WORKSPACE)
def remove_workspace(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """With its memberships and tokens, at once. Managed images that were created in it stay."""
    operations.remove_workspace(Actor.of(request), workspace, workspace.name)
    return {}


def described(workspace: Workspace) -> dict[str, Any]:
    return {
        "workspace_id": {"uuid": workspace.pk},
        "name": workspace.name,
        "description": workspace.description,
        "creation_time": workspace.created_at,
    }
