"""Middleware of the web process. It renders domain errors as a page, an HTMX fragment or JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails

from ri_platform import request_bodies
from ri_platform.database_errors import error_to_tell
from ri_platform.errors import (
    DomainError,
    Invalid,
    MethodNotAllowed,
    NotAllowed,
    NotFound,
    RequestTimeout,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

# google.rpc.Code, which the public client expects beside the HTTP status.
_GRPC_CODES = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    408: 4,
    409: 6,
    413: 3,
    422: 9,
    429: 8,
    500: 13,
    502: 14,
    503: 14,
}

TITLES = {
    400: "That cannot be done",
    401: "Please sign in",
    403: "This is not yours to do",
    404: "Nothing is here",
    408: "The request took too long",
    409: "That no longer fits",
    413: "That is too large",
    422: "The build cannot succeed",
    429: "Too many requests",
    500: "Something went wrong on our side",
    502: "The image registry did not answer as it should",
    503: "Not available right now",
}


class BodyLimitMiddleware:
    """Answer a request whose body was refused, in the format that the client reads.

    `ri_platform.request_bodies` refuses it before a thread is used, and closes the connection.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        reason = request.META.get("asgi.scope", {}).get(request_bodies.REFUSAL)
        if reason is None:
            return self.get_response(request)
        response = error_response(request, refusal_of_body(reason))
        # What is left of the body is not read, so nothing can follow it on this connection.
        response["Connection"] = "close"
        return response


def refusal_of_body(reason: str) -> DomainError:
    if reason == request_bodies.TOO_SLOW:
        seconds = settings.REQUEST_BODY_SECONDS
        return RequestTimeout(
            f"The request did not arrive within {seconds} seconds.", hint="Send it again."
        )
    if reason == request_bodies.TOO_MANY:
        return Unavailable(
            "Too many large requests are arriving at this moment.",
            hint="Send it again in a few seconds.",
            retry_after=5,
        )
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 1_000_000
    return TooLarge(f"The request is larger than {limit:g} MB.", hint="Send less at once.")


class NulMiddleware:
    """Refuse an address with a NUL character: PostgreSQL's text has none, so it can name nothing here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return error_response(
                request,
                Invalid(
                    "The address has a NUL character (%00), which nothing here has.",
                    hint="Leave it out.",
                ),
            )
        return self.get_response(request)


class PrivatePagesMiddleware:
    """Mark pages of signed-in users as private: no shared cache stores them, and browsers revalidate.

    Answers of the API are never stored: they may contain a secret that is shown once.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        user = getattr(request, "user", None)
        if "Cache-Control" not in response:
            if request.path.startswith(("/v1/", "/v1-beta/", "/internal/")):
                response["Cache-Control"] = "no-store"
            elif user is not None and user.is_authenticated:
                response["Cache-Control"] = "private, no-cache"
        return response


class DomainErrorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == 405 and wants_json(request):
            response = method_not_allowed(request, response)
        # A partial and a page share one URL; a cache must not swap them.
        patch_vary_headers(response, ["HX-Request"])
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        told = error if isinstance(error, DomainError) else error_to_tell(asked_by(request), error)
        return error_response(request, told) if told else None


def asked_by(request: HttpRequest) -> str:
    return f"{request.method} {request.path}"


def wants_json(request: HttpRequest) -> bool:
    return request.path.startswith(("/v1/", "/v1-beta/", "/internal/", "/api/")) or (
        request.headers.get("Accept", "").startswith("application/json")
    )


def wants_fragment(request: HttpRequest) -> bool:
    """True for an HTMX request that swaps a part of the page.

    Boosted and history-restore requests carry HX-Request too, but need the whole page.
    """
    # What fails in a middleware before htmx's own has no attribute of it yet.
    htmx = getattr(request, "htmx", None) or HtmxDetails(request)
    return bool(htmx) and not (htmx.boosted or htmx.history_restore_request)


def error_response(request: HttpRequest, error: DomainError) -> HttpResponse:
    if wants_json(request):
        body = {
            "code": _GRPC_CODES.get(error.status, 2),
            "message": str(error),
            "details": error.details,
        }
        answer = JsonResponse(body, status=error.status)
        if error.retry_after is not None:
            answer["Retry-After"] = str(error.retry_after)
        if isinstance(error, Unauthenticated):
            answer["WWW-Authenticate"] = error.challenge
        return answer
    context = {"error": error, "title": TITLES.get(error.status, TITLES[500])}
    if wants_fragment(request):
        response = render(request, "errors/_alert.html", context, status=error.status)
        # htmx does not swap error answers by default; this makes it show ours.
        response["HX-Retarget"] = "#alerts"
        response["HX-Reswap"] = "innerHTML"
        return response
    return render(request, "errors/error.html", context, status=error.status)


def method_not_allowed(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    answer = error_response(
        request,
        MethodNotAllowed(
            f"{request.method} is not possible here.",
            hint=f"Possible: {response.headers.get('Allow', '')}.",
        ),
    )
    answer["Allow"] = response.headers.get("Allow", "")
    return answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's `CSRF_FAILURE_VIEW`."""
    return error_response(
        request,
        NotAllowed(
            "This form is out of date, so nothing was changed.",
            hint="Go back, reload the page and send it again.",
        ),
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler400`: a host that is not ours, a form with too many fields, or a session that could
    not be saved."""
    return error_response(
        request,
        error_to_tell(asked_by(request), exception)
        or Invalid(
            "The request cannot be taken as it is.",
            hint="Its form may have too many fields, or its address is not one of this instance.",
        ),
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler403`, for what a library refuses."""
    return error_response(request, NotAllowed("This is not possible with your account."))


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """django-allauth's `handler429`."""
    return error_response(
        request,
        TooManyRequests(
            "Too many requests came from you.", hint="Try again in a minute.", retry_after=60
        ),
    )


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, NotFound("There is no page at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`, called while the error is handled: for what a middleware raises, as when the
    session or the user is looked up. It asks the database nothing."""
    if told := error_to_tell(asked_by(request), sys.exception()):
        return error_response(request, told)
    error = DomainError(
        "The platform could not answer this request, and its operators' log says why.",
        hint="Try again; if it fails again, tell an Organization Administrator.",
    )
    assert error.status == HTTPStatus.INTERNAL_SERVER_ERROR
    return error_response(request, error)
