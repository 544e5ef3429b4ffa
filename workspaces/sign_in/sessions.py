"""Sessions in the database (`SESSION_ENGINE`), whose query is compiled once: each page begins with it."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from ri_platform.ready import Given, Ready

SESSION: Ready[Session] = Ready(
    lambda: Session.objects.filter(session_key=Given("key"), expire_date__gt=Given("now"))[:1]
)


class SessionStore(db.SessionStore):
    """Django's own, under its name: the name is the salt of what sessions hold."""

    def _get_session_from_db(self) -> Session | None:
        found = SESSION.first(key=self.session_key, now=timezone.now())
        if found is None:
            # It tells of an expired session, and forgets its key.
            return cast("Session | None", cast(Any, super())._get_session_from_db())
        return found
