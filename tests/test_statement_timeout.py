"""A statement that takes too long is cancelled, and whoever asked is told in their own format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.urls import reverse

from ri_platform import statement_timeout
from tests.cast import Cast
from workspaces.models import Workspace

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


def secret(cast: Cast) -> str:
    from workspaces.access import Actor
    from workspaces.operations import tokens

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
