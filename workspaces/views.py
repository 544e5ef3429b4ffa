"""The Workspaces page, a workspace's summary and its General settings."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from ri_platform.errors import Conflict
from workspaces import operations
from workspaces.access import TABLE, Action, Actor, allows, needs, require
from workspaces.forms import WorkspaceForm
from workspaces.models import Workspace


@needs(Action.SEE_WORKSPACES)
def workspaces(request: HttpRequest) -> HttpResponse:
    actor = Actor.of(request)
    found = (
        Workspace.objects.visible_to(actor.user)
        .annotate(member_count=Count("members", distinct=True))
        .order_by("name")
    )
    context = {"workspaces": found, "section": "workspaces"}
    return render(request, "workspaces/workspaces.html", context)


@needs(Action.SEE_WORKSPACE)
def summary(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    members = workspace.memberships.select_related("user").order_by("user__username")
    context = {"workspace": workspace, "members": members, "section": "summary"}
    return render(request, "workspaces/summary.html", context)


@needs(Action.SEE_WORKSPACE)
def general(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """The General pane; only who may edit gets a form that can be sent."""
    actor = Actor.of(request)
    editable = allows(actor.user, Action.EDIT_WORKSPACE, workspace)
    stored = {"name": workspace.name, "description": workspace.description}
    form = WorkspaceForm(request.POST or None, initial=stored)
    if request.method == "POST":
        # Before validation, so that a refusal does not depend on what was typed.
        require(actor.user, Action.EDIT_WORKSPACE, workspace)
        if form.is_valid():
            try:
                operations.edit_workspace(actor, workspace, form.command())
            except Conflict as error:
                form.add_error("name", error.message)
            else:
                messages.success(request, "The workspace was saved.")
                return redirect("settings", workspace_id=workspace.pk)
    if not editable:
        for field in form.fields.values():
            field.disabled = True
    context = {
        "workspace": workspace,
        "form": form,
        "editable": editable,
        "refusal": TABLE[Action.EDIT_WORKSPACE].refusal,
        "section": "settings",
        "pane": "general",
    }
    return render(request, "workspaces/general.html", context, status=422 if form.errors else 200)
