"""Tokens for the cast, and a client that sends one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import User
from workspaces.operations import tokens


@pytest.fixture
def token_for(cast: Cast) -> Callable[[User], str]:
    """The secret of a new token of a user's, in Workspace 1, or where else they are a member."""

    def make(user: User, name: str = "test") -> str:
        workspace = user.workspaces.order_by("name").first() or cast.workspace
        return tokens.create_token(Actor(user), workspace, name).secret

    return make


@pytest.fixture
def ask(cast: Cast, token_for: Callable[[User], str]) -> Ask:
    """`ask(user, method, path, body)`: the API's answer to a request with a token of the user's."""
    secrets: dict[int, str] = {}

    def send(user: User | None, method: str, path: str, body: Any = None) -> Any:
        headers = {}
        if user is not None:
            secret = secrets.setdefault(user.pk, secrets.get(user.pk) or token_for(user))
            headers["rime-api-key"] = secret
        return Client().generic(
            method,
            path,
            data="" if body is None else json.dumps(body),
            content_type="application/json",
            headers=headers,
        )

    return send
