"""The page *Workspaces*, a workspace's summary, and its General settings."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from ri_platform.confirm import confirm
from ri_platform.errors import DomainError, Invalid
from ri_platform.forms import add_refusal, render_form
from ri_platform.pages import page_asked_for
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.forms import WorkspaceForm
from workspaces.guard import needs
from workspaces.models import Workspace
from workspaces.operations import members
from workspaces.operations import workspaces as operations

PAGE_SIZE = 50


@needs(Action.SEE_WORKSPACES)
def workspaces(request: HttpRequest) -> HttpResponse:
    actor = Actor.of(request)
    page = page_asked_for(Workspace.objects.visible_to(actor), ("name",), PAGE_SIZE, request.GET)
    # Counted of those that are shown alone.
    shown = Workspace.objects.filter(pk__in=[workspace.pk for workspace in page.rows])
    counts = dict(shown.annotate(number=Count("memberships")).values_list("pk", "number"))
    context = {
        "page": page,
        "workspaces": [(workspace, counts.get(workspace.pk, 0)) for workspace in page.rows],
        "section": "workspaces",
        "may_create": allows(actor, Action.CREATE_WORKSPACE),
        "may_remove": allows(actor, Action.REMOVE_WORKSPACE),
        "refusal": TABLE[Action.REMOVE_WORKSPACE].refusal,
    }
    return render(request, "workspaces/workspaces.html", context)


@needs(Action.SEE_WORKSPACE)
def summary(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    found = workspace.memberships.select_related("user")
    page = page_asked_for(found, members.ORDER, PAGE_SIZE, request.GET)
    context = {"workspace": workspace, "page": page, "section": "summary"}
    return render(request, "workspaces/summary.html", context)


@needs(Action.SEE_WORKSPACE, to_post=Action.EDIT_WORKSPACE)
@require_http_methods(["GET", "POST"])
def general(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """The General pane. Users without the privilege get a disabled form."""
    actor = Actor.of(request)
    editable = allows(actor, Action.EDIT_WORKSPACE, workspace)
    stored = {"name": workspace.name, "description": workspace.description}
    form = WorkspaceForm(request.POST or None, initial=stored)
    if request.method == "POST" and form.is_valid():
        try:
            operations.edit_workspace(actor, workspace, form.command())
        except DomainError as error:
            add_refusal(form, error)
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
    return render_form(request, "workspaces/general.html", context)


@needs(Action.CREATE_WORKSPACE)
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    form = WorkspaceForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            workspace = operations.create_workspace(Actor.of(request), form.command())
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, f"The workspace {workspace.name} was created.")
            return redirect("members", workspace_id=workspace.pk)
    context = {"form": form, "section": "workspaces"}
    return render_form(request, "workspaces/create.html", context)


@needs(Action.REMOVE_WORKSPACE)
@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """The confirmation, by typing the name, and its *Remove Workspace* button."""
    error = ""
    if request.method == "POST":
        try:
            operations.remove_workspace(Actor.of(request), workspace, request.POST.get("name", ""))
        except Invalid as refused:
            error = str(refused)
        else:
            messages.success(request, f"The workspace {workspace.name} was removed.")
            return redirect("workspaces")
    return confirm(
        request,
        title="Remove this workspace?",
        verb="Remove Workspace",
        words="workspaces/_remove_words.html",
        back=reverse("workspaces"),
        layout="layouts/app.html",
        context={"workspace": workspace, "members": workspace.memberships.count()},
        typed=workspace.name,
        error=error,
    )
