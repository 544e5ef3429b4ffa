"""Members, accounts and workspaces by REST."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import User, Workspace
from workspaces.operations import tokens


@pytest.mark.slow
def test_a_workspace_is_created_filled_and_removed(ask: Ask, cast: Cast) -> None:
    made = ask(cast.admin, "POST", "/v1/workspace", {"name": "Pricing"}).json()
    path = f"/v1/workspace/{made['workspaceId']['uuid']}"
    # The token that created it is of another workspace, and sees this one no more than any other.
    assert ask(cast.admin, "GET", path).status_code == 404
    workspace = Workspace.objects.get(name="Pricing")

    def of(user: User) -> Ask:
        """Ask with a token of the new workspace, as people make one in the console."""
        secret = tokens.create_token(Actor(user), workspace, "pricing").secret

        def send(method: str, path: str, body: object = None) -> Any:
            return Client().generic(
                method, path, json.dumps(body or {}), content_type="application/json",
                headers={"rime-api-key": secret},
            )  # fmt: skip

        return send

    admin = of(cast.admin)
    added = admin(
        "POST", f"{path}/users", {"userIds": [cast.member.pk, 10**12], "role": "admin"}
    ).json()["users"]
    assert [(item["userName"], item["role"]) for item in added] == [("member", "admin")]
    member = of(cast.member)
    last = member("DELETE", f"{path}/users/{cast.member.pk}")
    assert (last.status_code, last.json()["code"]) == (409, 6)
    member("POST", f"{path}/users", {"userIds": [cast.viewer.pk]})
    edited = member("PUT", f"{path}/users/{cast.viewer.pk}", {"role": "vp"}).json()
    assert edited["role"] == "vp"
    viewer = of(cast.viewer)
    assert viewer("DELETE", f"{path}/users/{cast.member.pk}").status_code == 200
    listed = viewer("GET", f"{path}/users").json()["users"]
    assert [item["userName"] for item in listed] == ["viewer"]
    assert viewer("DELETE", path).status_code == 403
    assert admin("DELETE", path).status_code == 200
    assert not Workspace.objects.filter(name="Pricing").exists()


@pytest.mark.slow
def test_an_account_is_created_given_a_password_and_deactivated(ask: Ask, cast: Cast) -> None:
    made = ask(cast.admin, "POST", "/v1/users", {"userName": "ada", "role": "basic"}).json()
    link = ask(cast.admin, "POST", f"/v1/users/reset-password/{made['id']}").json()["path"]
    assert Client().get(link, follow=True).status_code == 200
    path = f"/v1/users/{made['id']}"
    assert ask(cast.admin, "PUT", path, {"role": "support"}).json()["role"] == "support"
    assert ask(cast.admin, "DELETE", path).status_code == 200
    assert ask(cast.admin, "GET", path).json()["active"] is False
    assert ask(cast.admin, "GET", "/v1/users/999999999999").status_code == 404


def test_accounts_come_in_pages(ask: Ask, cast: Cast) -> None:
    User.objects.bulk_create(User(username=f"user-{number:03}") for number in range(150))
    first = ask(cast.admin, "GET", "/v1/users").json()
    second = ask(cast.admin, "GET", f"/v1/users?pageToken={first['nextPageToken']}").json()
    names = [item["userName"] for item in first["users"] + second["users"]]
    assert names == sorted(User.objects.values_list("username", flat=True))
    assert second["nextPageToken"] == first["nextPageToken"]
