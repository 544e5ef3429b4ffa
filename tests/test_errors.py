"""A domain error becomes an answer in one place: a page, a fragment or JSON."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.cast import Cast


@pytest.fixture
def refused(cast: Cast) -> tuple[Client, str]:
    """A client and the address of something that is not its user's to do."""
    url = reverse("remove_image", kwargs={"workspace_id": cast.workspace.pk, "name": "any"})
    return cast.client(cast.member), url


def test_a_browser_gets_a_page_with_a_way_out(refused: tuple[Client, str]) -> None:
    client, url = refused
    answer = client.get(url)
    assert answer.status_code == 403
    assert b"This is not yours to do" in answer.content
    assert b"Ask an Organization Administrator" in answer.content
    assert b'href="/workspaces"' in answer.content


def test_htmx_gets_a_notice_for_the_alerts(refused: tuple[Client, str]) -> None:
    client, url = refused
    answer = client.get(url, headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Retarget"]) == (403, "#alerts")
    assert b"<html" not in answer.content
    assert "HX-Request" in answer["Vary"]


@pytest.mark.parametrize("whole", ["HX-Boosted", "HX-History-Restore-Request"])
def test_navigation_by_htmx_gets_the_page(whole: str, refused: tuple[Client, str]) -> None:
    client, url = refused
    answer = client.get(url, headers={"HX-Request": "true", whole: "true"})
    assert b"<html" in answer.content


def test_programs_get_json_without_literals_that_python_cannot_read(
    refused: tuple[Client, str],
) -> None:
    client, url = refused
    answer = client.get(url, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()) == (
        403,
        {
            "code": 7,
            "message": "Only Organization Administrators can remove a managed image. "
            "Ask an Organization Administrator if you need this.",
            "details": [{"reason": "not_allowed", "field": ""}],
        },
    )


def test_an_unknown_address_is_a_page_of_ours(cast: Cast) -> None:
    answer = cast.client(cast.member).get("/nowhere")
    assert answer.status_code == 404
    assert b"There is no page at this address." in answer.content


def test_a_stale_form_changes_nothing_and_says_so(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.admin)
    answer = client.post(reverse("settings", kwargs={"workspace_id": cast.workspace.pk}))
    assert answer.status_code == 403
    assert b"This form is out of date, so nothing was changed." in answer.content


def test_an_unexpected_error_is_a_page_without_a_stack_trace(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("workspaces.models.WorkspaceQuerySet.visible_to", broken)
    client = cast.client(cast.member)
    client.raise_request_exception = False
    answer = client.get("/workspaces")
    assert answer.status_code == 500
    assert b"Something went wrong on our side" in answer.content
    assert b"secret detail" not in answer.content
