"""Operations on one's own account, and the middleware that records when a session was last used."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from ri_platform.address import client_address
from ri_platform.errors import NotFound
from ri_platform.numbers import number_of
from workspaces import audit
from workspaces.access import Action, Actor, require
from workspaces.models import User

# Precision of `last_seen_at` in seconds: a smaller value would write at every click.
SEEN_EVERY = 300


def choose_time_zone(actor: Actor, time_zone: str) -> None:
    """Set the account's time zone (a name of the tz database); empty means the browser's."""
    require(actor, Action.MANAGE_OWN_ACCOUNT)
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=actor.user.pk)
        before, locked.time_zone = locked.time_zone, time_zone
        if before != time_zone:
            locked.save(update_fields=["time_zone"])
            record("account.time_zone_chosen", actor, before=before, time_zone=time_zone)


def end_sessions(actor: Actor, chosen: str, *, keep: str) -> int:
    """Sign out the session with the number `chosen`; if it is empty, all sessions but `keep`.

    Returns the number of ended sessions; raises `NotFound` if the account has no such session.
    """
    require(actor, Action.MANAGE_OWN_ACCOUNT)
    mine = UserSession.objects.filter(user=actor.user).exclude(session_key=keep)
    if chosen:
        number = number_of(chosen, 63)
        mine = mine.none() if number is None else mine.filter(pk=number)
    with transaction.atomic():
        found = list(mine.select_for_update())
        if chosen and not found:
            raise NotFound("This session is over already.")
        get_adapter().end_sessions(found)
        for session in found:
            record("session.ended_by_owner", actor, address=session.ip)
    return len(found)


def record(event: str, actor: Actor, **details: Any) -> None:
    audit.record(event, actor, object_type="user", object_name=actor.user.username, details=details)


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
