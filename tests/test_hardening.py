"""What stands between this instance and those who mean it harm: headers, limits, and who is believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from images.models import BaseImage
from ri_platform.address import client_address
from tests.cast import Cast, operator_of
from tests.one_time_codes import code_of
from workspaces import limits
from workspaces.access import Actor
from workspaces.models import AuditEvent, FailedAuthentication
from workspaces.operations import tokens

ROOT = Path(__file__).resolve().parents[1]


def check_deploy(**variables: str) -> subprocess.CompletedProcess[str]:
    ours = ("RI_SECRET", "DJANGO_ALLOW")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_production_installation_passes_djangos_own_checks(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("k" * 20 + "0123456789" * 4 + "\n")
    done = check_deploy(
        RI_HTTPS="true",
        RI_SECRET_KEY_FILE=str(secret),
        RI_ALLOWED_HOSTS="images.example.org",
        RI_REGISTRY_HOST="123456789012.dkr.ecr.us-east-1.amazonaws.com",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_one_without_a_key_of_its_own_is_refused() -> None:
    done = check_deploy(RI_HTTPS="true")
    assert done.returncode == 1
    assert "RI_SECRET_KEY is not set" in done.stderr
    missing = check_deploy(RI_SECRET_KEY_FILE="/nowhere/at/all")
    assert "RI_SECRET_KEY_FILE cannot be read: No such file or directory." in missing.stderr


@pytest.mark.slow
def test_every_page_carries_the_headers(cast: Cast, base: BaseImage) -> None:
    for client in (Client(), cast.client(cast.member)):
        answer = client.get(reverse("workspaces"), follow=True)
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "report-uri /csp-report" in policy
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"
        assert "camera=()" in answer["Permissions-Policy"]
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.slow
def test_private_pages_are_kept_by_no_shared_cache(cast: Cast, base: BaseImage) -> None:
    pages = [reverse("workspaces"), reverse("images", args=[cast.workspace.pk])]
    for page in pages:
        assert "private" in cast.client(cast.member).get(page)["Cache-Control"]
    assert "no-cache" in Client().get(reverse("account_login"))["Cache-Control"]


def test_cookies_are_for_the_server_alone(cast: Cast) -> None:
    cast.member.set_password("correct horse battery staple")
    cast.member.save()
    client = Client()
    client.post(
        reverse("account_login"), {"login": "member", "password": "correct horse battery staple"}
    )
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_passwords_are_kept_by_argon2(cast: Cast) -> None:
    cast.member.set_password("correct horse battery staple")
    assert identify_hasher(cast.member.password).algorithm == "argon2"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_nowhere_else(target: str, cast: Cast) -> None:
    cast.member.set_password("correct horse battery staple")
    cast.member.save()
    answer = Client().post(
        reverse("account_login"),
        {"login": "member", "password": "correct horse battery staple", "next": target},
    )
    assert answer["Location"] == reverse("workspaces")


def test_another_host_is_refused_in_a_sentence() -> None:
    answer = Client().get("/signin", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert b"The request cannot be taken as it is." in answer.content


def test_an_address_with_a_nul_is_refused_in_a_sentence(cast: Cast) -> None:
    """PostgreSQL refuses it, and what does is told as an error of ours."""
    operator = operator_of(cast)
    pane = reverse("images", args=[cast.workspace.pk])
    for address in (
        "/django-admin/images/build/?state__exact=queued%00",
        "/django-admin/images/taskdue/a%00b/change/",
        f"{pane}?q=%00",
        "/%00",
    ):
        answer = operator.get(address)
        assert answer.status_code == 400, address
        assert b"has a NUL character" in answer.content


@pytest.mark.slow
def test_a_body_that_is_too_large_is_refused_before_it_is_looked_at(
    cast: Cast, base: BaseImage
) -> None:
    large = "x" * 3_000_000
    page = cast.client(cast.member).post(
        reverse("new_image", args=[cast.workspace.pk]), {"name": "a1", "pip_requirements": large}
    )
    assert page.status_code == 400
    secret = tokens.create_token(Actor(cast.member), cast.workspace, "t").secret
    answer = Client().post(
        "/v1/images",
        json.dumps({"name": large}),
        content_type="application/json",
        headers={"rime-api-key": secret},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, 3)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "believed"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1, 203.0.113.9", "203.0.113.9"),
        (2, "10.0.0.1, 203.0.113.9, 192.0.2.1", "203.0.113.9"),
        (2, "203.0.113.9", "127.0.0.1"),
        (1, "not an address", None),
    ],
)
def test_only_what_our_own_proxies_saw_is_believed(
    proxies: int, forwarded: str, believed: str | None, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == believed


def test_what_a_browser_refused_is_told_in_one_escaped_line(
    caplog: pytest.LogCaptureFixture, client: Client
) -> None:
    report = {"csp-report": {"blocked-uri": "https://evil.example/\nforged line", "x": "y" * 999}}
    answer = client.post("/csp-report", json.dumps(report), content_type="application/csp-report")
    assert answer.status_code == 204
    assert "forged line" in caplog.text
    assert "\nforged" not in caplog.text
    for nonsense in (b"", b"[]", b'"x"', b'{"csp-report": 3}', b"\xff" * 20_000, b"[" * 9_999):
        assert client.post("/csp-report", nonsense, content_type="x/y").status_code == 204


def sign_in(username: str, password: str, address: str = "127.0.0.1") -> Any:
    data = {"login": username, "password": password}
    return Client(REMOTE_ADDR=address).post(reverse("account_login"), data)


@pytest.mark.slow
def test_guessing_passwords_is_slowed_down_without_keeping_the_owner_out(cast: Cast) -> None:
    cast.member.set_password("correct horse battery staple")
    cast.member.save()
    for _ in range(5):
        assert b"The username or the password is wrong" in sign_in("member", "guess").content
    waiting = sign_in("member", "correct horse battery staple")
    assert b"Too many attempts with a wrong password" in waiting.content
    # Its owner, elsewhere, is not kept out, and neither is anybody else here.
    right = sign_in("member", "correct horse battery staple", "192.0.2.7")
    assert right.status_code == 302
    assert b"The username or the password is wrong" in sign_in("viewer", "guess").content


@pytest.mark.slow
def test_wrong_passwords_of_one_person_keep_no_colleague_at_the_same_address_out(
    cast: Cast, settings: Any
) -> None:
    """Behind a NAT, a whole office has one address."""
    cast.member.set_password("correct horse battery staple")
    cast.member.save()
    for number in range(settings.MAX_FAILED_AUTHENTICATIONS + 5):
        sign_in(f"user-{number // 4}", "guess")
    assert sign_in("member", "correct horse battery staple").status_code == 302


@pytest.mark.slow
def test_trying_one_password_on_many_accounts_is_slowed_down_too(cast: Cast, settings: Any) -> None:
    settings.MAX_FAILED_AUTHENTICATIONS = 2
    for number in range(2):
        sign_in(f"user-{number}", "guess")
    # From now on this address may try each account once a minute.
    assert b"is wrong" in sign_in("user-2", "guess").content
    assert b"Too many attempts" in sign_in("user-2", "guess").content
    for number in range(3, 20):
        sign_in(f"user-{number}", "guess")
    assert b"Too many attempts" in sign_in("user-20", "guess").content
    FailedAuthentication.objects.update(window_ends_at=timezone.now() - timedelta(minutes=2))
    assert b"is wrong" in sign_in("user-8", "guess").content
    FailedAuthentication.objects.update(window_ends_at=timezone.now() - timedelta(minutes=2))
    assert limits.forget_old_failures() > 0
    assert not FailedAuthentication.objects.exists()


@pytest.mark.slow
def test_what_is_shown_once_is_stored_nowhere(cast: Cast, base: BaseImage) -> None:
    """A browser's cache and its list of visited pages would keep it otherwise (RFC 9111, 5.2.2.5)."""
    member, admin = cast.confirmed_client(cast.member), cast.client(cast.admin)
    member.get(reverse("mfa_activate_totp"))
    member.post(reverse("mfa_activate_totp"), {"code": code_of(member.session["mfa.totp.secret"])})
    secret = tokens.create_token(Actor(cast.admin), cast.workspace, "t").secret
    answers = {
        "authenticator": cast.confirmed_client(cast.viewer).get(reverse("mfa_activate_totp")),
        "recovery codes": member.get(reverse("mfa_view_recovery_codes")),
        "recovery codes, new": member.get(reverse("mfa_generate_recovery_codes")),
        "recovery codes, file": member.get(reverse("mfa_download_recovery_codes")),
        "token": member.post(
            reverse("tokens", args=[cast.workspace.pk]), {"name": "laptop", "expiry_days": "9"}
        ),
        "password link": admin.post(reverse("reset_password", args=[cast.viewer.pk])),
        "API": Client().get("/v1/images", headers={"rime-api-key": secret}),
    }
    for name, answer in answers.items():
        assert answer.status_code == 200, name
        assert "no-store" in answer["Cache-Control"], name


@pytest.mark.slow
def test_a_session_ends_after_its_longest_time_however_much_it_is_used(
    cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast.member.set_password("correct horse battery staple")
    cast.member.save()
    client = Client()
    client.post(
        reverse("account_login"), {"login": "member", "password": "correct horse battery staple"}
    )
    begun = time.time()
    for day in range(1, settings.SESSION_MAX_DAYS):
        monkeypatch.setattr(time, "time", lambda day=day: begun + day * 86_400)
        assert client.get(reverse("workspaces")).status_code == 200
    monkeypatch.setattr(time, "time", lambda: begun + settings.SESSION_MAX_DAYS * 86_400 + 1)
    answer = client.get(reverse("workspaces"), follow=True)
    assert b"Your session has ended after 30 days. Please sign in again." in answer.content
    assert AuditEvent.objects.filter(event="session.ended", username="member").exists()
