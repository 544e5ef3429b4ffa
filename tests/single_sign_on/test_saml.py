"""Single sign-on by SAML 2.0, through a browser, against a provider that really runs and signs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode

import pytest
from playwright.sync_api import Page, Route, expect

from tests.cast import Cast
from workspaces.models import InstanceRole, User

pytestmark = pytest.mark.browser


def come(page: Page, name: str) -> None:
    page.goto("/signin?next=/account")
    page.get_by_role("link", name="Sign in with Campus").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Log in").click()


def test_an_account_appears_with_its_attributes_role(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page()
    come(page, "linus")
    expect(page.get_by_role("heading", name="Profile")).to_be_visible()
    linus = User.objects.get(username="linus")
    assert (linus.role, linus.email) == (
        InstanceRole.ORGANIZATION_ADMINISTRATOR,
        "linus@example.org",
    )


def test_an_assertion_that_was_altered_on_the_way_signs_nobody_in(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page()

    def alter(route: Route) -> None:
        body = parse_qs(route.request.post_data or "")
        said = base64.b64decode(body["SAMLResponse"][0]).replace(
            b"linus@example.org", b"admin@example.org"
        )
        route.continue_(post_data=urlencode({"SAMLResponse": base64.b64encode(said).decode()}))

    page.route("**/acs", alter)
    come(page, "linus")
    expect(page.get_by_role("heading", name="Sign-in failed")).to_be_visible()
    assert not User.objects.filter(username="linus").exists()
