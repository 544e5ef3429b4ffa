"""API Access Tokens and the API's documentation, in Chromium."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.cast import Cast

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_token_is_created_used_and_revoked(
    new_page: Callable[..., Page], cast: Cast, web: str
) -> None:
    page = new_page(cast.member)
    page.goto(f"/workspaces/{cast.workspace.pk}/settings")
    page.get_by_role("link", name="API Access Tokens").click()
    expect(page.get_by_role("heading", name="No tokens yet")).to_be_visible()
    page.get_by_label("Name").fill("nightly-training")
    page.get_by_role("button", name="Create Token").click()
    expect(page.get_by_text("It is shown only once")).to_be_visible()
    secret = page.locator("#token").text_content() or ""
    headers = {"rime-api-key": secret}
    assert httpx.get(f"{web}/v1/images", headers=headers).status_code == 200
    page.get_by_label("Actions for nightly-training").click()
    page.get_by_role("menuitem", name="Revoke").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("stops working at once")
    dialog.get_by_role("button", name="Revoke token").click()
    expect(page.get_by_text("The token nightly-training was revoked.")).to_be_visible()
    assert httpx.get(f"{web}/v1/images", headers=headers).status_code == 401


def test_the_documentation_is_served_by_us_and_breaks_no_rule(
    new_page: Callable[..., Page], cast: Cast
) -> None:
    page = new_page(cast.member)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto("/api/docs")
    expect(page.get_by_role("heading", name="RI Platform: Managed Image Registry")).to_be_visible()
    expect(page.get_by_text("/v1/images:match")).to_be_visible()
    assert len(hosts) == 1
