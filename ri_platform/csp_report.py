"""The endpoint for reports of Content-Security-Policy violations. It logs one line for each."""

from __future__ import annotations

import json
import logging

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

MAX_BYTES = 10_000
TOLD = ("document-uri", "violated-directive", "blocked-uri", "source-file", "line-number")

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """Log a report, limited in length and escaped, since it is not authenticated."""
    body = request.read(MAX_BYTES)
    try:
        report = json.loads(body).get("csp-report", {})
        told = {name: str(report[name])[:200] for name in TOLD if name in report}
    except (ValueError, AttributeError, TypeError, RecursionError):
        told = {}
    if told:
        logger.warning("The browser refused something on a page: %s", json.dumps(told))
    return HttpResponse(status=204)
