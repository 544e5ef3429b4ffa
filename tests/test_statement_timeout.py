"""A statement that takes too long is cancelled, and whoever asked is told in their own format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.test import Client
from django.urls import reverse

from ri_platform import statement_timeout
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.audit import record
from workspaces.audit_export import csv_rows
from workspaces.models import AuditEvent, Workspace
from workspaces.operations import tokens

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def slow(cast: Cast, settings: Any) -> Iterator[str]:
    """The address of the pane, with a limit of a second."""
    connection.close()
    settings.STATEMENT_TIMEOUT_SECONDS = 1
    statement_timeout.introduce()
    yield reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    connection_created.disconnect(dispatch_uid=statement_timeout.__name__)
    connection.close()


def sleep_before_images(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """PostgreSQL sleeps for a minute in each query of images."""
    if 'FROM "images_managedimage"' in sql:
        sql, params = "SELECT pg_sleep(60)", None
    return execute(sql, params, many, context)


@pytest.mark.slow
def test_a_reader_meets_a_page_an_alert_or_json(slow: str, cast: Cast) -> None:
    client = cast.client(cast.member)
    with connection.execute_wrapper(sleep_before_images):
        page = client.get(slow)
        alert = client.get(slow, headers={"HX-Request": "true"})
        program = client.get("/v1/images", headers={"Authorization": f"Bearer {secret(cast)}"})
    assert (page.status_code, alert.status_code, program.status_code) == (503, 503, 503)
    assert b"<html" in page.content
    assert b"The database took too long" in page.content
    assert alert["HX-Retarget"] == "#alerts"
    assert b"Ask for less" in alert.content
    assert program.json()["details"] == [{"reason": "query_timeout", "field": ""}]
    # The connection is good for the next request.
    assert client.get(slow).status_code == 200


def sleep_before(table: str) -> Any:
    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if f'"{table}"' in sql:
            sql, params = "SELECT pg_sleep(60)", None
        return execute(sql, params, many, context)

    return connection.execute_wrapper(wrapper)


@pytest.mark.parametrize("table", ["django_session", "workspaces_user"])
@pytest.mark.slow
def test_a_slow_lookup_of_session_or_user_says_the_same(table: str, slow: str, cast: Cast) -> None:
    client = cast.client(cast.member)
    client.raise_request_exception = False
    with sleep_before(table):
        page = client.get(slow)
        alert = client.get(slow, headers={"HX-Request": "true"})
        program = client.get(slow, headers={"Accept": "application/json"})
    assert (page.status_code, alert.status_code, program.status_code) == (503, 503, 503)
    assert b"<html" in page.content
    assert b"The database took too long" in page.content
    assert alert["HX-Retarget"] == "#alerts"
    assert program.json()["details"] == [{"reason": "query_timeout", "field": ""}]


@pytest.mark.slow
def test_a_session_that_is_saved_too_slowly_says_the_same(slow: str, cast: Cast) -> None:
    client = cast.client(cast.member)
    client.raise_request_exception = False
    session = client.session
    session["seen_at"] = 0
    session.save()

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(('UPDATE "django_session"', 'INSERT INTO "django_session"')):
            sql, params = "SELECT pg_sleep(60)", None
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        page = client.get(slow)
    assert page.status_code == 503
    assert b"The database took too long" in page.content


@pytest.mark.slow
def test_the_sign_in_and_the_admin_say_the_same(slow: str, cast: Cast) -> None:
    client = cast.client(cast.admin)
    client.raise_request_exception = False
    with sleep_before("workspaces_user"):
        pages = [
            client.get("/django-admin/"),
            Client(raise_request_exception=False).post(
                reverse("account_login"), {"login": "member", "password": "x"}
            ),
        ]
    assert [page.status_code for page in pages] == [503, 503]


def test_an_export_fails_before_its_first_line_or_says_that_it_is_incomplete(
    slow: str, cast: Cast
) -> None:
    client = cast.client(cast.admin)
    with sleep_before("workspaces_auditevent"):
        answer = client.get(reverse("export_audit_log"))
    assert answer.status_code == 503
    for _ in range(3):
        record("audit.exported", Actor(cast.admin), object_type="audit_log", object_name="x")

    def events() -> Iterator[AuditEvent]:
        yield AuditEvent.objects.earliest("pk")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")

    head, line, last = csv_rows(events())
    assert head.startswith("time,event")
    assert "audit_log" in line
    assert last.startswith('"INCOMPLETE: The database took too long')


def secret(cast: Cast) -> str:
    return tokens.create_token(Actor(cast.member), cast.workspace, "slow").secret


def test_no_other_process_has_a_limit(cast: Cast) -> None:
    assert Workspace.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_zero_sets_no_limit(slow: str, settings: Any) -> None:
    connection.close()
    settings.STATEMENT_TIMEOUT_SECONDS = 0
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
