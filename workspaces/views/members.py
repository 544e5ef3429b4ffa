"""The pane Settings → Members: the members of the workspace, and *Add New Member*."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from ri_platform.errors import DomainError
from ri_platform.forms import add_refusal, render_form
from ri_platform.middleware import wants_fragment
from ri_platform.numbers import number_of
from ri_platform.pages import page_asked_for
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.forms import MemberForm
from workspaces.guard import needs
from workspaces.models import User, Workspace, WorkspaceRole
from workspaces.operations import members
from workspaces.views.confirm import confirm_in_pane

SHOWN = 10
PAGE_SIZE = 50


@needs(Action.SEE_MEMBERS)
@require_GET
def pane(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    actor = Actor.of(request)
    found = workspace.memberships.select_related("user")
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "members",
        "page": page_asked_for(found, members.ORDER, PAGE_SIZE, request.GET),
        "manages": allows(actor, Action.MANAGE_MEMBERS, workspace),
        "refusal": TABLE[Action.MANAGE_MEMBERS].refusal,
    }
    return render(request, "workspaces/members.html", context)


@needs(Action.MANAGE_MEMBERS)
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Search as you type, choose several, and give them a role."""
    given = request.POST if request.method == "POST" else request.GET
    ids = [number for item in given.getlist("user") if (number := number_of(item, 31)) is not None]
    chosen = list(members.candidates(workspace, "").filter(pk__in=ids))
    error = ""
    if request.method == "POST":
        if chosen:
            added = members.add_members(Actor.of(request), workspace, chosen, given.get("role", ""))
            names = ", ".join(membership.user.username for membership in added)
            messages.success(request, f"Added to {workspace.name}: {names}.")
            return redirect("members", workspace_id=workspace.pk)
        error = "Choose at least one account."
    search = given.get("q", "")
    found = members.candidates(workspace, search).exclude(pk__in=ids)[: SHOWN + 1]
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "members",
        "search": search,
        "chosen": chosen,
        "found": list(found)[:SHOWN],
        "more": len(found) > SHOWN,
        "roles": WorkspaceRole.choices,
        "role": given.get("role", WorkspaceRole.MEMBER),
        "error": error,
    }
    fragment = wants_fragment(request)
    template = "workspaces/_candidates.html" if fragment else "workspaces/add_members.html"
    return render(request, template, context, status=422 if error else 200)


@needs(Action.MANAGE_MEMBERS)
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, workspace: Workspace, user_id: int) -> HttpResponse:
    membership = members.membership_of(workspace, user_id)
    form = MemberForm(request.POST or None, initial={"role": membership.role})
    if request.method == "POST" and form.is_valid():
        try:
            members.edit_member(Actor.of(request), membership, form.cleaned_data["role"])
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, f"{membership.user.username} was saved.")
            return redirect("members", workspace_id=workspace.pk)
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "members",
        "membership": membership,
        "form": form,
    }
    return render_form(request, "workspaces/edit_member.html", context)


@needs(Action.MANAGE_MEMBERS)
@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, workspace: Workspace, user_id: int) -> HttpResponse:
    membership = members.membership_of(workspace, user_id)
    if request.method == "POST":
        members.remove_member(Actor.of(request), membership)
        messages.success(request, f"{membership.user.username} is no longer a member.")
        left = isinstance(request.user, User) and request.user.pk == user_id
        visible = Workspace.objects.visible_to(Actor.of(request)).filter(pk=workspace.pk)
        if left and not visible.exists():
            return redirect("workspaces")
        return redirect("members", workspace_id=workspace.pk)
    return confirm_in_pane(
        request,
        workspace,
        "members",
        title="Remove this member?",
        verb="Remove Member",
        words="workspaces/_remove_member_words.html",
        membership=membership,
    )
