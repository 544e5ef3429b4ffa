"""The pane Settings → API Access Tokens."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from ri_platform.errors import DomainError
from ri_platform.forms import add_refusal, render_form
from ri_platform.pages import page_asked_for
from workspaces.access import Action, Actor, allows
from workspaces.forms import TokenForm
from workspaces.guard import needs
from workspaces.models import Workspace
from workspaces.operations import tokens
from workspaces.views.confirm import confirm_in_pane
from workspaces.views.programs import addresses

PAGE_SIZE = 50


@needs(Action.SEE_TOKENS, to_post=Action.CREATE_TOKEN)
@require_http_methods(["GET", "POST"])
def pane(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """The visible tokens, and a form for a new one. Only this answer shows a new token's secret."""
    actor = Actor.of(request)
    form, made = TokenForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        try:
            made = tokens.create_token(
                actor, workspace, form.cleaned_data["name"], days=form.cleaned_data["expiry_days"]
            )
            form = TokenForm()
        except DomainError as error:
            add_refusal(form, error)
    found = tokens.visible_tokens(actor, workspace)
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "tokens",
        "page": page_asked_for(found, tokens.ORDER, PAGE_SIZE, request.GET, descending=True),
        "manages": allows(actor, Action.MANAGE_TOKENS, workspace),
        "form": form,
        "made": made,
        **addresses(request),
    }
    response = render_form(request, "workspaces/tokens.html", context)
    response["Cache-Control"] = "no-store"
    return response


@needs(Action.SEE_TOKENS, to_post=Action.REVOKE_TOKEN)
@require_http_methods(["GET", "POST"])
def revoke(request: HttpRequest, workspace: Workspace, token_id: UUID) -> HttpResponse:
    """The confirmation, as a dialog or a page of its own, and its *Revoke token* button."""
    actor = Actor.of(request)
    token = tokens.token_of(actor, token_id)
    if request.method == "POST":
        tokens.revoke_token(actor, token)
        messages.success(request, f"The token {token.name} was revoked.")
        return redirect("tokens", workspace_id=workspace.pk)
    return confirm_in_pane(
        request,
        workspace,
        "tokens",
        title="Revoke this token?",
        verb="Revoke token",
        words="workspaces/_revoke_words.html",
        token=token,
    )
