"""The page *Your account*: profile and open sessions. `workspaces.sign_in` has the second factors."""

from __future__ import annotations

from typing import cast

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from ri_platform.forms import render_form
from workspaces.access import Action, Actor
from workspaces.forms import OwnTimeZoneForm
from workspaces.guard import needs
from workspaces.models import User
from workspaces.operations import own_account


@needs(Action.MANAGE_OWN_ACCOUNT)
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    actor = Actor.of(request)
    form = OwnTimeZoneForm(request.POST or None, initial={"time_zone": actor.user.time_zone})
    if request.method == "POST" and form.is_valid():
        own_account.choose_time_zone(actor, form.cleaned_data["time_zone"])
        messages.success(request, "Your account was saved.")
        return redirect("own_account")
    context = {"section": "account", "pane": "profile", "form": form}
    return render_form(request, "account/profile.html", context)


@needs(Action.MANAGE_OWN_ACCOUNT)
@require_http_methods(["GET", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """The account's sessions. Posting `session` signs that one out; posting none signs out all others."""
    actor = Actor.of(request)
    if request.method == "POST":
        ended = own_account.end_sessions(
            actor, request.POST.get("session", ""), keep=request.session.session_key or ""
        )
        words = "one session" if ended == 1 else f"{ended} sessions"
        messages.success(request, f"Signed out {words}.")
        return redirect("own_sessions")
    found = UserSession.objects.purge_and_list(cast(User, request.user))
    found.sort(key=lambda session: session.last_seen_at, reverse=True)
    found.sort(key=lambda session: not session.is_current())
    context = {"section": "account", "pane": "sessions", "sessions": found}
    return render(request, "account/sessions.html", context)
