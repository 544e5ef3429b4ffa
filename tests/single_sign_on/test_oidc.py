"""Single sign-on by OpenID Connect, through a browser, against a provider that really runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings
from playwright.sync_api import Page, expect

from ri_platform import single_sign_on
from ri_platform.env import Env
from ri_platform.local import services
from tests.cast import Cast
from workspaces.checks import roles_are_known
from workspaces.models import AuditEvent, InstanceRole, User
from workspaces.sign_in.single_sign_on import follow_role, role_of

pytestmark = pytest.mark.browser


def come(page: Page, name: str, at: str = "/signin") -> None:
    page.goto(at)
    page.get_by_role("link", name="Sign in with Example").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(name)
    page.get_by_role("button", name="Log in").click()


def test_an_account_appears_at_the_first_sign_in_with_its_claims_role(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page()
    come(page, "grace", "/signin?next=/organization")
    expect(page.get_by_role("heading", name="General")).to_be_visible()
    grace = User.objects.get(username="grace")
    assert (grace.role, grace.email) == (
        InstanceRole.ORGANIZATION_ADMINISTRATOR,
        "grace@example.org",
    )
    assert not grace.has_usable_password()
    told = (
        AuditEvent.objects.filter(object_name="grace")
        .order_by("pk")
        .values_list("event", "details")
    )
    assert list(told) == [
        ("account.created", {"by": "single sign-on", "role": "org_admin", "address": "127.0.0.1"}),
        ("session.started", {"by": ["socialaccount"]}),
    ]
    page.goto("/account/security")
    expect(page.get_by_text("identity provider")).to_be_visible()
    page.get_by_role("link", name="Set up").click()
    expect(page.get_by_role("heading", name="Set up an authenticator app")).to_be_visible()


def test_the_role_follows_the_claim_at_each_sign_in(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page()
    come(page, "ada")
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    ada = User.objects.get(username="ada")
    assert ada.role == InstanceRole.BASIC
    User.objects.filter(pk=ada.pk).update(role=InstanceRole.SUPPORT)
    again = new_page()
    come(again, "ada")
    expect(again.get_by_role("heading", name="Workspaces")).to_be_visible()
    ada.refresh_from_db()
    assert ada.role == InstanceRole.BASIC
    event = AuditEvent.objects.get(event="account.role_changed")
    assert event.details == {"by": "single sign-on", "before": "support", "role": "basic"}


def test_nobody_takes_over_an_account_of_the_same_name(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page()
    come(page, "member")
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    expect(page.get_by_text("You are not in a workspace yet")).to_be_visible()
    assert User.objects.filter(username__startswith="member").count() == 2


def test_a_deactivated_account_stays_out(new_page: Callable[..., Page], cast: Cast) -> None:
    page = new_page()
    come(page, "ada")
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    User.objects.filter(username="ada").update(is_active=False)
    page.reload()
    # The provider still knows them, and sends them straight back.
    page.get_by_role("link", name="Sign in with Example").click()
    expect(page.get_by_role("heading", name="This account is deactivated")).to_be_visible()


def test_an_answer_that_nobody_asked_for_signs_nobody_in(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page()
    page.goto("/signin/oidc/oidc/callback?code=stolen&state=forged")
    expect(page.get_by_role("heading", name="Sign-in failed")).to_be_visible()
    page.goto("/signin/oidc/oidc?process=connect")
    expect(page.get_by_text("This address only leads to signing in.")).to_be_visible()
    page.goto("/signin/oidc/oidc/callback?error=access_denied&state=forged")
    assert "/signin" in page.url


def test_a_provider_that_is_down_is_told_in_a_sentence(
    client: Client, settings: Any, caplog: pytest.LogCaptureFixture, db: None
) -> None:
    settings.SOCIALACCOUNT_PROVIDERS = single_sign_on.providers(
        Env({"RI_OIDC_SERVER_URL": f"http://127.0.0.1:{services.free_port()}"})
    )
    answer = client.get("/signin/oidc/oidc")
    assert answer.status_code == 401
    assert b"The identity provider did not answer as it should" in answer.content
    assert "single sign-on failed" in caplog.text
    assert client.get("/signin/oidc/another").status_code == 404


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({}, "basic"),
        ({"realm": {"roles": ["b", "a"]}}, "org_admin"),
        ({"realm": {"roles": "b"}}, "support"),
        ({"realm.roles": ["b"]}, "support"),
        ({"realm": "nonsense"}, "basic"),
    ],
)
def test_a_claim_gives_the_role_that_may_do_most(
    claims: dict[str, Any], role: str, settings: Any
) -> None:
    settings.SSO_ROLE_CLAIM, settings.SSO_ROLES = "realm.roles", {"a": "org_admin", "b": "support"}
    assert role_of(claims) == role


def test_the_last_administrator_stays_one_whatever_the_claim_says(
    cast: Cast, settings: Any
) -> None:
    settings.SSO_ROLE_CLAIM = "groups"
    follow_role(cast.admin, {"groups": []})
    cast.admin.refresh_from_db()
    assert cast.admin.role == InstanceRole.ORGANIZATION_ADMINISTRATOR


def test_a_mapping_that_is_none_or_gives_unknown_roles_is_told() -> None:
    with pytest.raises(
        ImproperlyConfigured, match="RI_SSO_ROLES cannot be read: it must be a JSON"
    ):
        single_sign_on.roles(Env({"RI_SSO_ROLES": "[1]"}))
    with override_settings(SSO_ROLES={"a": "emperor"}):
        assert "emperor" in str(roles_are_known()[0].msg)
    assert roles_are_known() == []
