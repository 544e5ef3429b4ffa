"""By REST: the instance's settings, all tokens, the audit log, and people as the console finds them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent, Organization, User
from workspaces.operations import tokens


def test_the_organization_is_read_and_its_time_zone_changed(ask: Ask, cast: Cast) -> None:
    found = ask(cast.admin, "GET", "/v1/organization").json()
    assert (found["timeZone"], found["workspaceCount"]) == ("UTC", 2)
    changed = ask(cast.admin, "PATCH", "/v1/organization", {"timeZone": "Asia/Tokyo"}).json()
    assert changed["timeZone"] == Organization.get().time_zone == "Asia/Tokyo"
    wrong = ask(cast.admin, "PATCH", "/v1/organization", {"timeZone": "Nowhere"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, 3)


@pytest.mark.slow
def test_all_tokens_come_in_pages(ask: Ask, cast: Cast) -> None:
    for number in range(3):
        tokens.create_token(Actor(cast.member), cast.workspace, f"t{number}")
    names: list[str] = []
    token = ""
    while True:
        path = f"/v1/organization/api-tokens?pageSize=2&pageToken={token}"
        page = ask(cast.admin, "GET", path).json()
        names += [item["name"] for item in page["apiTokenInfos"]]
        if page["nextPageToken"] == token:
            break
        token = page["nextPageToken"]
    assert sorted(names) == ["t0", "t1", "t2", "test"]
    assert ask(cast.manager, "GET", "/v1/organization/api-tokens").status_code == 403
    wrong = ask(cast.admin, "GET", "/v1/organization/api-tokens?pageToken=x")
    assert wrong.status_code == 400


@pytest.mark.slow
def test_events_are_filtered_and_come_in_pages(ask: Ask, cast: Cast) -> None:
    for number in range(3):
        body = {"name": f"Made {number}"}
        assert ask(cast.admin, "POST", "/v1/workspace", body).status_code == 200
    path = "/v1/audit-events?event=workspace.&userName=admin&pageSize=2"
    first = ask(cast.admin, "GET", path).json()
    assert [event["objectName"] for event in first["events"]] == ["Made 2", "Made 1"]
    assert first["events"][0]["tokenName"] == "test"
    token = first["nextPageToken"]
    second = ask(cast.admin, "GET", f"{path}&pageToken={token}").json()
    assert [event["objectName"] for event in second["events"]] == ["Made 0"]
    assert second["nextPageToken"] == token
    for query in ("?objectName=Made 1", "?event=workspace.created&since=2020-01-01&userName=admin"):
        assert ask(cast.admin, "GET", f"/v1/audit-events{query}").json()["events"]
    assert ask(cast.admin, "GET", "/v1/audit-events?until=2020-01-01").json()["events"] == []
    for query in ("?since=2026-02-02&until=2026-02-01", "?since=soon", "?pageToken=x"):
        assert ask(cast.admin, "GET", f"/v1/audit-events{query}").status_code == 400
    assert ask(cast.manager, "GET", "/v1/audit-events").status_code == 403


def test_the_log_is_exported_as_csv_and_that_is_an_event(ask: Ask, cast: Cast) -> None:
    ask(cast.admin, "POST", "/v1/workspace", {"name": "=Made"})
    answer = ask(cast.admin, "GET", "/v1/audit-events:export?event=workspace.")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["object"] for row in rows] == ["'=Made"]
    exported = AuditEvent.objects.get(event="audit.exported")
    assert (exported.user, exported.details) == (cast.admin, {"event": "workspace."})


@pytest.mark.slow
def test_an_account_is_reactivated(ask: Ask, cast: Cast) -> None:
    path = f"/v1/users/{cast.member.pk}"
    assert ask(cast.admin, "DELETE", path).json() == {}
    assert ask(cast.manager, "POST", f"{path}:reactivate").status_code == 403
    assert ask(cast.admin, "POST", f"{path}:reactivate").json() == {}
    assert ask(cast.admin, "GET", path).json()["active"] is True
    assert ask(cast.admin, "POST", "/v1/users/0:reactivate").status_code == 404


def test_a_token_tells_whom_it_acts_for(
    ask: Ask, cast: Cast, token_for: Callable[[User], str]
) -> None:
    found = ask(cast.viewer, "GET", "/v1/users/me").json()
    assert (found["userName"], found["tokenName"]) == ("viewer", "test")
    assert found["workspaceId"]["uuid"] == str(cast.workspace.pk)
    assert found["tokenExpirationTime"]


def test_administrators_of_a_workspace_find_whom_to_add(ask: Ask, cast: Cast) -> None:
    path = f"/v1/workspace/{cast.workspace.pk}/users:candidates"
    found = ask(cast.manager, "GET", f"{path}?search=stran").json()["users"]
    assert found == [{"userId": cast.stranger.pk, "userName": "stranger", "email": ""}]
    assert ask(cast.member, "GET", path).status_code == 403


def test_accounts_are_searched(ask: Ask, cast: Cast) -> None:
    found = ask(cast.admin, "GET", "/v1/users?search=STRANG").json()["users"]
    assert [item["userName"] for item in found] == ["stranger"]
