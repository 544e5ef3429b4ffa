"""The fixed cast: an account of every kind, and two workspaces."""

from __future__ import annotations

from dataclasses import dataclass

from allauth.account.internal.flows.login import record_authentication
from django.http import HttpRequest
from django.test import Client

from workspaces.models import InstanceRole, User, Workspace


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
        client = Client()
        if user is not None:
            client.force_login(user)
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
