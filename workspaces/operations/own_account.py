"""Operations on one's own account, and the middleware that records when a session was last used."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.db import transaction

from ri_platform.errors import NotFound
from ri_platform.numbers import number_of
from workspaces import audit
from workspaces.access import Action, Actor, require
from workspaces.models import User


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
