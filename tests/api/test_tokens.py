"""API access tokens: shown once, stored hashed, never more than their user, and hard to guess at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from ri_platform.errors import Conflict, NotAllowed
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import ApiToken, AuditEvent, InstanceRole, User, WorkspaceRole
from workspaces.operations import tokens


def status_with(secret: str, address: str = "127.0.0.1") -> int:
    answer = Client(REMOTE_ADDR=address).get("/v1/rime-info", headers={"rime-api-key": secret})
    return answer.status_code


def test_a_token_is_stored_hashed_and_lives_270_days(cast: Cast) -> None:
    made = tokens.create_token(Actor(cast.member), cast.workspace, "ci")
    row = ApiToken.objects.get()
    assert made.secret.startswith("ri_")
    assert made.secret not in str(vars(row))
    assert row.suffix == made.secret[-4:]
    assert row.expires_at - timezone.now() > timedelta(days=269, hours=23)
    assert AuditEvent.objects.get(event="token.created").object_name == "ci"
    assert status_with(made.secret) == 200


@pytest.mark.parametrize("how", ["expired", "revoked", "deactivated", "no member any more"])
def test_it_ends_at_once(how: str, cast: Cast, token_for: Callable[[User], str]) -> None:
    secret = token_for(cast.member)
    assert status_with(secret) == 200
    if how == "expired":
        ApiToken.objects.update(expires_at=timezone.now())
    elif how == "revoked":
        tokens.revoke_token(Actor(cast.member), ApiToken.objects.get())
    elif how == "deactivated":
        User.objects.filter(pk=cast.member.pk).update(is_active=False)
    else:
        cast.workspace.memberships.filter(user=cast.member).delete()
    assert status_with(secret) == 401


def test_it_has_its_users_privileges_as_they_are_now(
    ask: Ask, cast: Cast, token_for: Callable[[User], str]
) -> None:
    assert ask(cast.admin, "DELETE", "/v1/images/nobody").status_code == 404
    User.objects.filter(pk=cast.admin.pk).update(role=InstanceRole.BASIC)
    cast.workspace.memberships.create(user=cast.admin)
    assert ask(cast.admin, "DELETE", "/v1/images/nobody").status_code == 403


@pytest.mark.slow
def test_many_failures_from_one_address_hold_up_that_one_and_no_good_token(
    cast: Cast, settings: Any, token_for: Callable[[User], str]
) -> None:
    settings.MAX_FAILED_AUTHENTICATIONS = 3
    secret = token_for(cast.member)
    assert [status_with("ri_guess") for _ in range(5)] == [401, 401, 401, 429, 429]
    answer = Client().get("/v1/rime-info", headers={"rime-api-key": "ri_guess"})
    assert 1 <= int(answer["Retry-After"]) <= 61
    assert status_with(secret) == 200
    assert status_with("ri_guess", address="192.0.2.7") == 401


def answer_to(**headers: str) -> Any:
    return Client().get("/v1/users/me", headers=headers)


def test_a_token_may_come_as_a_bearer(cast: Cast, token_for: Callable[[User], str]) -> None:
    secret = token_for(cast.member)
    for header in (f"Bearer {secret}", f"bearer  {secret}"):
        answer = answer_to(Authorization=header)
        assert (answer.status_code, answer.json()["userName"]) == (200, "member")
    assert answer_to(Authorization=f"Basic {secret}").status_code == 401
    assert answer_to(Authorization=secret).status_code == 401


def test_the_originals_header_comes_before_a_bearer(
    cast: Cast, token_for: Callable[[User], str]
) -> None:
    mine, other = token_for(cast.member), token_for(cast.viewer)
    both = {"rime-api-key": mine, "Authorization": f"Bearer {other}"}
    assert answer_to(**both).json()["userName"] == "member"
    # What a proxy in front of the public client set says nothing about the client's own key.
    assert answer_to(**{**both, "Authorization": "Bearer of.a.proxy"}).status_code == 200
    assert answer_to(**{**both, "rime-api-key": "ri_wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="RI Platform"'),
        ({"Authorization": "Basic eDp5"}, 'Bearer realm="RI Platform"'),
        ({"rime-api-key": "x"}, 'Bearer realm="RI Platform", error="invalid_token"'),
        ({"Authorization": "Bearer x"}, 'Bearer realm="RI Platform", error="invalid_token"'),
    ],
)
def test_a_401_says_how_to_come_again(headers: dict[str, str], challenge: str, cast: Cast) -> None:
    answer = answer_to(**headers)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, challenge)
    assert set(answer.json()) == {"code", "message", "details"}


def test_the_limit_and_the_names(cast: Cast, settings: Any) -> None:
    settings.MAX_API_TOKENS = 2
    tokens.create_token(Actor(cast.member), cast.workspace, "one")
    with pytest.raises(Conflict, match="named one in this workspace already"):
        tokens.create_token(Actor(cast.member), cast.workspace, "one")
    tokens.create_token(Actor(cast.manager), cast.workspace, "one")
    with pytest.raises(Conflict, match="2 API access tokens, which is the limit"):
        tokens.create_token(Actor(cast.admin), cast.workspace, "three")
    ApiToken.objects.filter(user=cast.member).update(expires_at=timezone.now())
    tokens.create_token(Actor(cast.admin), cast.workspace, "three")


def test_a_user_manages_their_own_and_administrators_all(cast: Cast) -> None:
    mine = tokens.create_token(Actor(cast.member), cast.workspace, "mine").token
    other = tokens.create_token(Actor(cast.viewer), cast.workspace, "other").token
    assert list(tokens.visible_tokens(Actor(cast.member), cast.workspace)) == [mine]
    assert set(tokens.visible_tokens(Actor(cast.manager), cast.workspace)) == {mine, other}
    with pytest.raises(NotAllowed):
        tokens.revoke_token(Actor(cast.member), other)
    tokens.revoke_token(Actor(cast.manager), other)
    tokens.revoke_token(Actor(cast.admin), mine)
    assert not ApiToken.objects.exists()
    assert AuditEvent.objects.filter(event="token.revoked").count() == 2


@pytest.mark.slow
def test_a_token_lists_and_revokes_its_users_in_its_workspace(ask: Ask, cast: Cast) -> None:
    second = tokens.create_token(Actor(cast.member), cast.workspace, "second")
    listed = ask(cast.member, "GET", "/v1/users/api-tokens").json()["apiTokenInfos"]
    assert {item["name"] for item in listed} == {"test", "second"}
    path = f"/v1/users/api-tokens/{second.token.pk}"
    tokens.create_token(Actor(cast.viewer), cast.other, "of another")
    cast.workspace.memberships.filter(user=cast.viewer).update(role=WorkspaceRole.MEMBER)
    assert ask(cast.viewer, "DELETE", path).status_code == 404
    assert status_with(second.secret) == 200
    assert ask(cast.member, "DELETE", path).status_code == 200
    assert status_with(second.secret) == 401


def test_the_command_prints_the_token_alone(cast: Cast) -> None:
    out = StringIO()
    call_command(
        "create_api_token", "--user=member", "--workspace=Workspace 1", "--name=ci", stdout=out
    )
    assert status_with(out.getvalue().strip()) == 200
    assert out.getvalue().count("\n") == 1
    with pytest.raises(CommandError, match="no user named nobody"):
        call_command("create_api_token", "--user=nobody", "--workspace=x", "--name=ci")
    with pytest.raises(CommandError, match="stranger sees no workspace"):
        call_command("create_api_token", "--user=stranger", "--workspace=Workspace 1", "--name=c")


def test_last_use_is_noted_without_a_write_for_each_request(
    cast: Cast, token_for: Callable[[User], str], django_assert_num_queries: Any
) -> None:
    secret = token_for(cast.member)
    assert status_with(secret) == 200
    assert ApiToken.objects.get().last_used_at is not None
    with django_assert_num_queries(1):
        status_with(secret)
