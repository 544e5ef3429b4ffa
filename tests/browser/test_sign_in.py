"""Signing in with more than a password, and what people see of their own account, in Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.cast import Cast
from tests.one_time_codes import code_of
from workspaces.models import AuditEvent, User

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"


@pytest.fixture
def member(cast: Cast) -> User:
    cast.member.set_password(PASSWORD)
    cast.member.save()
    return cast.member


def sign_in(page: Page, password: str = PASSWORD) -> None:
    page.goto("/signin")
    page.get_by_label("Username").fill("member")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.get_by_text("member", exact=True).first.click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def to_sign_in_settings(page: Page) -> None:
    page.get_by_text("member", exact=True).first.click()
    page.get_by_role("menuitem", name="Your account").click()
    page.get_by_role("link", name="Signing in").click()


def confirm(page: Page) -> None:
    expect(page.get_by_role("heading", name="Confirm it is you")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def test_an_authenticator_app_is_set_up_and_then_asked_for(
    new_page: Callable[..., Page], member: User
) -> None:
    page = new_page()
    sign_in(page)
    to_sign_in_settings(page)
    page.get_by_role("link", name="Set up").click()
    confirm(page)
    secret = page.locator("#secret").inner_text()
    page.get_by_label("The code that the app shows").fill("000000")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("This code is wrong, or was used already.")).to_be_visible()
    assert page.locator("#secret").inner_text() == secret
    page.get_by_label("The code that the app shows").fill(code_of(secret))
    page.get_by_role("button", name="Turn on").click()
    recovery = page.locator("#codes").inner_text().split()
    assert len(recovery) == 10
    sign_out(page)

    sign_in(page)
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    page.goto("/workspaces")
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    # Another than at first; the one of the step before would end with this step.
    code = code_of(secret, 1)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    sign_out(page)

    sign_in(page)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("This code is wrong, or was used already.")).to_be_visible()
    page.get_by_label("Code").fill(recovery[0])
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    to_sign_in_settings(page)
    expect(page.get_by_text("9 left.")).to_be_visible()
    started = AuditEvent.objects.filter(event="session.started").latest("pk")
    assert started.details == {"by": ["password", "recovery_codes"]}


def test_a_passkey_signs_in_without_a_password(
    new_page: Callable[..., Page], member: User, web: str
) -> None:
    # Browsers give passkeys to names, never to addresses.
    page = new_page(base_url=web.replace("127.0.0.1", "localhost"))
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    browser.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    sign_in(page)
    to_sign_in_settings(page)
    page.get_by_role("link", name="Add a passkey").click()
    confirm(page)
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("row", name="Laptop Instead of the password")).to_be_visible()
    sign_out(page)

    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    started = AuditEvent.objects.filter(event="session.started").latest("pk")
    assert started.details == {"by": ["webauthn"]}

    to_sign_in_settings(page)
    page.get_by_label("Actions for Laptop").click()
    page.get_by_role("menuitem", name="Remove").click()
    confirm(page)
    page.get_by_role("button", name="Remove passkey").click()
    expect(page.get_by_text("The passkey was removed.")).to_be_visible()
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator(".notice")).to_be_visible()


def test_a_session_elsewhere_is_signed_out(new_page: Callable[..., Page], member: User) -> None:
    here, there = new_page(), new_page()
    sign_in(here)
    sign_in(there)
    expect(there.get_by_role("heading", name="Workspaces")).to_be_visible()
    here.goto("/account/sessions")
    expect(here.get_by_text("This session")).to_be_visible()
    here.get_by_role("button", name="Sign out Chrome on Linux at 127.0.0.1").click()
    expect(here.get_by_text("Signed out one session.")).to_be_visible()
    there.reload()
    expect(there.get_by_role("heading", name="Sign in")).to_be_visible()
    event = AuditEvent.objects.get(event="session.ended_by_owner")
    assert (event.username, event.details) == ("member", {"address": "127.0.0.1"})


def test_times_are_shown_in_the_readers_zone(new_page: Callable[..., Page], member: User) -> None:
    page = new_page(timezone_id="Asia/Tokyo")
    sign_in(page)
    page.goto("/account/sessions")
    assert "JST" in str(page.locator("time").first.get_attribute("title"))
    page.goto("/account")
    page.get_by_label("Time zone").select_option("Europe/Lisbon")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your account was saved.")).to_be_visible()
    page.goto("/account/sessions")
    assert "WE" in str(page.locator("time").first.get_attribute("title"))
