"""The fixed cast: an account of every kind, and two workspaces."""

from __future__ import annotations

import string
import time
from dataclasses import dataclass

from allauth.account.internal.flows.login import record_authentication
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.test import Client
from django.utils.crypto import get_random_string

from workspaces.models import InstanceRole, User, Workspace


def begin_session(user: User) -> str:
    """The key of a session, made in two statements: a sign-in takes sixteen, and most tests have one."""
    session, now = SessionStore(), int(time.time())
    key = get_random_string(32, string.ascii_lowercase + string.digits)
    values = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
        HASH_SESSION_KEY: user.get_session_auth_hash(),
        "begun_at": now,
        "seen_at": now,
    }
    Session.objects.create(
        session_key=key, session_data=session.encode(values), expire_date=session.get_expiry_date()
    )
    UserSession.objects.create(user=user, session_key=key, ip="127.0.0.1", user_agent="")
    return key


@dataclass(frozen=True)
class Cast:
    """Somebody of every kind, and two workspaces; the stranger and the basic user are in neither."""

    admin: User
    support: User
    manager: User
    member: User
    viewer: User
    stranger: User
    workspace: Workspace
    other: Workspace

    @staticmethod
    def client(user: User | None) -> Client:
        """With a session as a sign-in leaves it; nothing is audited, and the user's row stays as it is."""
        client = Client()
        if user is not None:
            client.cookies[settings.SESSION_COOKIE_NAME] = begin_session(user)
        return client

    @classmethod
    def confirmed_client(cls, user: User) -> Client:
        """Of somebody who has just said once more who they are, as what protects an account asks."""
        client = cls.client(user)
        request = HttpRequest()
        request.session = client.session
        record_authentication(request, user, "password", reauthenticated=True)
        request.session.save()
        return client


def operator_of(cast: Cast) -> Client:
    """The client of an administrator who may use Django's admin."""
    User.objects.filter(pk=cast.admin.pk).update(is_superuser=True)
    assert cast.admin.role == InstanceRole.ORGANIZATION_ADMINISTRATOR
    return cast.client(cast.admin)
