"""Frames: the surroundings of a page's changing part, rendered once for all requests that get the same.

A template takes longer than everything else of a page of the pane. So it is rendered with marks in place of
what differs from request to request, kept by all that it tells of, and the marks are replaced.
"""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Mapping
from typing import Any

from django.contrib.messages import get_messages
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.loader import render_to_string

from ri_platform.memory import Memory
from workspaces.models import User, Workspace

FRAMES: Memory[str] = Memory(1000)
# Nobody can guess a mark, so no text that somebody wrote is taken for one.
_SECRET = secrets.token_hex(16)


def render_frame(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    workspace: Workspace,
    told: Hashable,
    marked: Mapping[str, str],
) -> str:
    """The rendered template. `marked` are values that differ each time, as HTML, by their names in it.

    `told` is all else that it tells of but the reader, the workspace and the address.
    """
    if len(get_messages(request)):
        return render_to_string(template, {**context, **marked}, request)
    user = request.user
    assert isinstance(user, User)
    key = (
        template, user.pk, user.username, user.role, user.is_superuser, user.is_active,
        workspace.pk, workspace.name, request.get_full_path(), told,
    )  # fmt: skip
    marks = {name: f"{_SECRET}{name}" for name in (*marked, "csrf_token")}
    text = FRAMES.recall(key, lambda: render_to_string(template, {**context, **marks}, request))
    if marks["csrf_token"] in text:
        text = text.replace(marks["csrf_token"], get_token(request))
    for name, value in marked.items():
        text = text.replace(marks[name], value)
    return text
