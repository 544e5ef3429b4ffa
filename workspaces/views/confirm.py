"""Confirmation of what is destroyed in a pane of a workspace's settings."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from ri_platform.confirm import confirm
from workspaces.models import Workspace


def confirm_in_pane(
    request: HttpRequest,
    workspace: Workspace,
    pane: str,
    *,
    title: str,
    verb: str,
    words: str,
    typed: str = "",
    error: str = "",
    **context: Any,
) -> HttpResponse:
    """As `confirm`; *Cancel* leads to the pane, whose URL has its name. `context` is for `words`."""
    return confirm(
        request,
        title=title,
        verb=verb,
        words=words,
        back=reverse(pane, args=[workspace.pk]),
        layout="layouts/settings.html",
        context={"workspace": workspace, "section": "settings", "pane": pane, **context},
        typed=typed,
        error=error,
    )
