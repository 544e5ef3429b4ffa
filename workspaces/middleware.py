"""The time zone of displayed times: the user's choice, else the browser's, else the organization's."""

from __future__ import annotations

import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from ri_platform.address import client_address
from workspaces.models import Organization, User

COOKIE = "time_zone"


class TimeZoneMiddleware:
    """Activate the reader's time zone for the length of a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not isinstance(request.user, User):
            return self.get_response(request)
        with timezone.override(zone_of(request.user, request.COOKIES.get(COOKIE, ""))):
            return self.get_response(request)


def zone_of(user: User, browser: str) -> ZoneInfo:
    for name in filter(None, (user.time_zone, browser[:64])):
        found = zone_named(name)
        if found is not None:
            return found
    return zone_named(Organization.get().time_zone) or ZoneInfo("UTC")


def zone_named(name: str) -> ZoneInfo | None:
    """The zone of the tz database, or None. A cookie may hold any text, including a path."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return None


# Precision of `last_seen_at` in seconds: a smaller value would write at every click.
SEEN_EVERY = 300


class SeenMiddleware:
    """Record a session's last use and address; end it after its maximum age.

    Use prolongs a session (`SESSION_COOKIE_AGE`), so one that is used every day would never end otherwise.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self.get_response(request)
        now = int(time.time())
        # The age of sessions from before this limit starts with their next request.
        if now - request.session.setdefault("begun_at", now) > settings.SESSION_MAX_DAYS * 86_400:
            logout(request)
            messages.info(
                request,
                f"Your session has ended after {settings.SESSION_MAX_DAYS} days. Please sign in again.",
            )
        elif request.session.get("seen_at", 0) < now - SEEN_EVERY:
            request.session["seen_at"] = now
            UserSession.objects.filter(session_key=request.session.session_key).update(
                last_seen_at=timezone.now(), ip=client_address(request) or "::"
            )
        return self.get_response(request)
