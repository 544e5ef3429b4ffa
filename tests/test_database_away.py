"""A database that is away is told as 503, in the reader's own format, and never as a defect of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.operations import tokens

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def asked_while_it_ends(table: str, ask: Callable[[], Any]) -> Any:
    """The answer where PostgreSQL ends the connection in a query of this table, as at an operator's shutdown.

    The next request has a connection of its own, which is Django's doing, but not under its test client.
    """

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if f'"{table}"' in sql:
            sql, params = "SELECT pg_terminate_backend(pg_backend_pid())", None
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(wrapper):
            return ask()
    finally:
        connection.close()


@pytest.fixture
def secret(cast: Cast) -> str:
    return tokens.create_token(Actor(cast.member), cast.workspace, "away").secret


@pytest.mark.parametrize("table", ["images_managedimage", "workspaces_user"])
def test_a_connection_that_ends_while_it_is_asked_is_told_as_503(
    table: str, cast: Cast, secret: str
) -> None:
    client = cast.client(cast.member)
    client.raise_request_exception = False
    url = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    key = {"Authorization": f"Bearer {secret}"}
    programs = Client(raise_request_exception=False)
    page = asked_while_it_ends(table, lambda: client.get(url))
    alert = asked_while_it_ends(table, lambda: client.get(url, headers={"HX-Request": "true"}))
    program = asked_while_it_ends(table, lambda: programs.get("/v1/images", headers=key))
    assert (page.status_code, alert.status_code, program.status_code) == (503, 503, 503)
    assert b"The database does not answer at this moment." in page.content
    assert alert["HX-Retarget"] == "#alerts"
    assert program.json()["details"] == [{"reason": "database_away", "field": ""}]
    assert program["Retry-After"] == "5"
    assert client.get(url).status_code == 200


def test_a_server_that_nobody_reaches_is_told_as_503(secret: str) -> None:
    connection.close()
    settings = connection.settings_dict
    before = settings["HOST"]
    settings["HOST"] = "/nowhere"
    try:
        client = Client(raise_request_exception=False)
        answer = client.get("/v1/images", headers={"Authorization": f"Bearer {secret}"})
    finally:
        settings["HOST"] = before
        connection.close()
    assert (answer.status_code, answer.json()["code"]) == (503, 14)
    assert answer.json()["details"] == [{"reason": "database_away", "field": ""}]


def allow(what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION {what}")


def test_a_server_that_is_still_recovering_is_told_as_503(cast: Cast, secret: str) -> None:
    """It answers by then, and takes no changes: so is a standby before its promotion."""
    base = factories.make_base_image()
    key = {"Authorization": f"Bearer {secret}"}
    body = {"name": "asked", "pipRequirements": [{"name": "pyjokes"}]}
    body["pythonVersion"] = base.python_version
    client = Client(raise_request_exception=False)
    allow("READ ONLY")
    try:
        answer = client.post("/v1/images", body, content_type="application/json", headers=key)
    finally:
        allow("READ WRITE")
    assert answer.status_code == 503, answer.content
    assert answer.json()["details"] == [{"reason": "database_away", "field": ""}]
