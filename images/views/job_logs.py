"""The log of a job at the signed address that the API gives out."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from images.queries import job_logs


@require_safe
def job_log(request: HttpRequest, signed: str) -> HttpResponse:
    """A build's whole log as text, for whoever has the address."""
    build = job_logs.build_of_address(signed)
    response = HttpResponse(job_logs.whole_log(build), content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response
