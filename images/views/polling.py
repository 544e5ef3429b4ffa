"""Answers with a page or with the part of it that changes.

Each URL has one template. An HTMX request for a part gets that part, or 204 if the page already shows the
present state, so that a poll without changes leaves the screen as it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from ri_platform.middleware import wants_fragment

# A form's token is masked anew for each answer, and the reader's stays good. A log grows by itself and is
# kept in place when the rest is swapped.
_TOKEN = re.compile(r'<input type="hidden" name="csrfmiddlewaretoken" value="\w+">')
_PRESERVED = re.compile(r'(<pre [^>]*hx-preserve="true"[^>]*>)[^<]*')


def page_or_part(
    request: HttpRequest, page: str, part: str, context: dict[str, Any]
) -> HttpResponse:
    """The page, or for HTMX its changing part: 204 if the reader has just that already."""
    html = render_to_string(part, context, request)
    fingerprint = fingerprint_of(html)
    if has_already(request, fingerprint):
        return HttpResponse(status=204)
    template = "parts/polled.html" if wants_fragment(request) else page
    return render(request, template, {**context, "part": html, "fingerprint": fingerprint})


def has_already(request: HttpRequest, fingerprint: str) -> bool:
    """Whether the reader's page shows just that."""
    return wants_fragment(request) and request.headers.get("X-Fingerprint") == fingerprint


def fingerprint_of(html: str) -> str:
    """A part's hash, without what differs between two answers that look the same."""
    steady = _PRESERVED.sub(r"\1", _TOKEN.sub("", html))
    return hashlib.sha256(steady.encode("utf-8")).hexdigest()[:16]
