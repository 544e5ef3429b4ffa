"""Confirmation of destructive actions: a dialog, and a page for browsers without JavaScript."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ri_platform.middleware import wants_fragment


def confirm(
    request: HttpRequest,
    *,
    title: str,
    verb: str,
    words: str,
    back: str,
    layout: str,
    context: dict[str, Any],
    typed: str = "",
    error: str = "",
) -> HttpResponse:
    """Render the confirmation of an action. Its button `verb` posts to the same address.

    `words` and `layout` are templates, `back` is the target of *Cancel* on the page. With `typed`, that text
    has to be typed first, as the field `name`.
    """
    values = {
        **context,
        "title": title,
        "verb": verb,
        "words": words,
        "back": back,
        "layout": layout,
        "typed": typed,
        "error": error,
    }
    template = "parts/confirm_dialog.html" if wants_fragment(request) else "layouts/confirm.html"
    return render(request, template, values, status=422 if error else 200)
