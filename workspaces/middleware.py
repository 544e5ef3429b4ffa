"""The time zone of displayed times: the user's choice, else the browser's, else the organization's."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

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
