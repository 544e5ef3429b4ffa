"""REST endpoints for workspaces, at the original's paths."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from pydantic import Field

from ri_platform.api import ERRORS, Camel, Line, Lines, router
from ri_platform.text import column_length
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, RowId, guarded
from workspaces.models import Workspace
from workspaces.operations import workspaces as operations

routes = router("Workspaces", "Workspaces, in which users organize their work.")


class WorkspaceOut(Camel):
    """A workspace."""

    workspace_id: RowId = Field(validation_alias="id")
    """The workspace's identifier."""
    name: str = Field(examples=["Pricing"])
    """Its name, which is unique on the instance."""
    description: str = Field(examples=["Models that set prices."])
    """Its purpose."""
    creation_time: datetime = Field(validation_alias="created_at")
    """When it was created."""


class WorkspacesOut(Camel):
    """Workspaces."""

    workspaces: list[WorkspaceOut]
    """In the order of their names."""


class WorkspaceIn(Camel):
    """The name and the description of a workspace."""

    name: Line = Field(
        min_length=1, max_length=column_length(Workspace, "name"), examples=["Pricing"]
    )
    """Its name, which is unique on the instance."""
    description: Lines = Field(
        "", max_length=column_length(Workspace, "description"), examples=["Models that set prices."]
    )
    """Its purpose."""


@routes.get("/workspace", response={200: WorkspacesOut, **ERRORS}, summary="List workspaces")
@guarded(Action.SEE_WORKSPACES)
def list_workspaces(request: HttpRequest) -> dict[str, Any]:
    """Returns the token's own workspace, the only one that the token sees."""
    found = Workspace.objects.visible_to(Actor.of(request))
    return {"workspaces": found}


@routes.get(
    "/workspace/{workspace_id}", response={200: WorkspaceOut, **ERRORS}, summary="Get a workspace"
)
@guarded(Action.SEE_WORKSPACE)
def get_workspace(request: HttpRequest, workspace: Workspace) -> Workspace:
    """Returns the token's own workspace. Any other one is not found."""
    return workspace


@routes.put(
    "/workspace/{workspace_id}",
    response={200: WorkspaceOut, **ERRORS},
    summary="Change a workspace's name and description",
)
@guarded(Action.EDIT_WORKSPACE)
def edit_workspace(request: HttpRequest, workspace: Workspace, wanted: WorkspaceIn) -> Workspace:
    """Sets both to the given values."""
    command = operations.EditWorkspace(wanted.name, wanted.description)
    return operations.edit_workspace(Actor.of(request), workspace, command)


@routes.post("/workspace", response={200: WorkspaceOut, **ERRORS}, summary="Create a workspace")
@guarded(Action.CREATE_WORKSPACE)
def create_workspace(request: HttpRequest, wanted: WorkspaceIn) -> Workspace:
    """Creates a workspace without members. Acting in it takes a token for it, created in the console."""
    command = operations.EditWorkspace(wanted.name, wanted.description)
    return operations.create_workspace(Actor.of(request), command)


@routes.delete(
    "/workspace/{workspace_id}", response={200: Nothing, **ERRORS}, summary="Remove a workspace"
)
@guarded(Action.REMOVE_WORKSPACE)
def remove_workspace(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """Removes a workspace, its memberships and its tokens at once. Images that were created in it stay."""
    operations.remove_workspace(Actor.of(request), workspace, workspace.name)
    return {}
