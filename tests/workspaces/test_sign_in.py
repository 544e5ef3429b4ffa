"""Second factors, breached passwords, sessions and time zones, below the browser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.server import HTTPServer
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pwned_passwords_django.api import PwnedPasswords

from ri_platform.address import network_of
from tests.cast import Cast
from tests.http_server import QuietHandler, address_of, serving
from tests.one_time_codes import code_of
from workspaces import middleware
from workspaces.access import Actor
from workspaces.middleware import zone_of
from workspaces.models import AuditEvent, Organization, User
from workspaces.operations import accounts, own_account
from workspaces.tasks import clear_sessions

PASSWORD = "correct horse battery staple"
KEY = "JBSWY3DPEHPK3PXP"
# Of the right shape, by a key that nobody has.
PASSKEY_ANSWER = json.dumps(
    {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {
            "clientDataJSON": "e30",
            "authenticatorData": "A" * 50,
            "signature": "AAAA",
            "userHandle": "AAAA",
        },
        "clientExtensionResults": {},
    }
)


@pytest.fixture
def guarded(cast: Cast) -> User:
    """Somebody with an authenticator app and recovery codes."""
    cast.member.set_password(PASSWORD)
    cast.member.save()
    TOTP.activate(cast.member, KEY)
    RecoveryCodes.activate(cast.member)
    return cast.member


def sign_in(username: str = "member") -> Client:
    user = User.objects.get(username__iexact=username)
    if not user.check_password(PASSWORD):
        user.set_password(PASSWORD)
        user.save()
    client = Client()
    client.post(reverse("account_login"), {"login": username, "password": PASSWORD})
    return client


def test_a_password_alone_is_not_enough_where_there_is_a_second_factor(guarded: User) -> None:
    client = sign_in()
    assert SESSION_KEY not in client.session
    assert client.get(reverse("workspaces")).status_code == 302


@pytest.mark.slow
def test_guessing_codes_is_slowed_down(guarded: User) -> None:
    client = sign_in()
    for _ in range(5):
        answer = client.post(reverse("mfa_authenticate"), {"code": "000000"})
        assert b"This code is wrong" in answer.content
    right = RecoveryCodes.activate(guarded).get_unused_codes()[0]
    answer = client.post(reverse("mfa_authenticate"), {"code": right})
    assert b"Too many attempts" in answer.content
    assert SESSION_KEY not in client.session


def test_names_are_taken_in_any_case(cast: Cast) -> None:
    assert SESSION_KEY in sign_in("Member").session
    answer = cast.client(cast.admin).post(
        reverse("create_account"), {"username": "MEMBER", "role": "basic"}
    )
    assert b"There is an account named MEMBER already." in answer.content


def test_secrets_of_second_factors_are_encrypted_and_survive_a_new_key(
    guarded: User, settings: Any
) -> None:
    app = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    codes = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES)
    assert KEY not in str(app.data)
    before = codes.wrap().get_unused_codes()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert codes.wrap().get_unused_codes() == before


@pytest.mark.slow
def test_an_administrator_lets_somebody_in_who_lost_their_phone(cast: Cast, guarded: User) -> None:
    theirs = sign_in()
    theirs.post(reverse("mfa_authenticate"), {"code": code_of(KEY)})
    assert theirs.get(reverse("workspaces")).status_code == 200
    page = cast.client(cast.admin).post(
        reverse("remove_second_factors", args=[guarded.pk]), follow=True
    )
    assert b"member signs in with the password alone now." in page.content
    assert theirs.get(reverse("workspaces")).status_code == 302
    assert SESSION_KEY in sign_in().session
    told = AuditEvent.objects.filter(event="account.second_factor_removed", object_name="member")
    assert {(event.username, event.details["type"]) for event in told} == {
        ("admin", "totp"),
        ("admin", "recovery_codes"),
    }


@pytest.mark.slow
def test_setting_one_up_is_an_event_in_the_same_transaction(cast: Cast) -> None:
    client = sign_in()
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    client.get(reverse("mfa_activate_totp"))
    secret = client.session["mfa.totp.secret"]
    client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    told = AuditEvent.objects.filter(event="account.second_factor_added").values_list(
        "username", "details__type"
    )
    assert set(told) == {("member", "totp"), ("member", "recovery_codes")}


def failures() -> list[tuple[str, dict[str, Any]]]:
    told = AuditEvent.objects.filter(event="session.failed").order_by("pk")
    return list(told.values_list("username", "details"))


@pytest.mark.slow
def test_a_wrong_second_step_is_a_failed_sign_in(guarded: User) -> None:
    client = sign_in()
    client.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert failures() == [("member", {"by": ["totp"]})]
    client.post(reverse("mfa_authenticate"), {"credential": PASSKEY_ANSWER})
    Client().post(reverse("mfa_login_webauthn"), {"credential": PASSKEY_ANSWER})
    assert failures()[1:] == [("member", {"by": ["webauthn"]}), ("", {"by": ["webauthn"]})]


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        '{"id": "x"}', '{"id": 5}', "[]", "null", '"x"', "{", '{"id": "AAAA", "rawId": []}',
        PASSKEY_ANSWER.replace('"AAAA"', "5"), PASSKEY_ANSWER.replace('"e30"', '"!"'),
        PASSKEY_ANSWER.replace('"e30"', '"W10"'), PASSKEY_ANSWER.replace("A" * 50, "_" * 200),
        PASSKEY_ANSWER.replace('"userHandle": "AAAA"', f'"userHandle": "{"OTk5" * 20}"'),
        "[" * 100_000, f'{{"id": "{"x" * 100_000}"}}',
    ],
)  # fmt: skip
def test_a_passkeys_answer_that_no_browser_sends_is_refused_wherever_one_is_asked_for(
    answer: str, guarded: User
) -> None:
    """Signing in with it, as the second step, to confirm, and to add one."""
    confirmed = sign_in()
    confirmed.post(reverse("mfa_authenticate"), {"code": code_of(KEY)})
    confirmed.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    clients = {
        "mfa_login_webauthn": Client(headers={"X-Requested-With": "XMLHttpRequest"}),
        "mfa_authenticate": sign_in(),
        "mfa_reauthenticate_webauthn": confirmed,
        "mfa_add_webauthn": confirmed,
    }
    for route, client in clients.items():
        client.get(reverse(route))
        said = client.post(reverse(route), {"credential": answer, "name": "Key"})
        assert said.status_code in (200, 302), route
    assert not Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN).exists()


def test_a_deactivated_account_that_knows_its_password_is_one_failed_sign_in(cast: Cast) -> None:
    User.objects.filter(pk=cast.member.pk).update(is_active=False)
    assert SESSION_KEY not in sign_in().session
    assert [name for name, _ in failures()] == ["member"]


@pytest.mark.slow
def test_choosing_a_password_is_an_event_and_ends_other_sessions(cast: Cast) -> None:
    here, there = sign_in(), sign_in()
    here.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    form = {
        "oldpassword": PASSWORD,
        "password1": "another long one",
        "password2": "another long one",
    }
    assert here.post(reverse("account_change_password"), form).status_code == 302
    assert here.get(reverse("workspaces")).status_code == 200
    assert there.get(reverse("workspaces")).status_code == 302
    uid, token = accounts.password_link(Actor(cast.admin), cast.member)
    client = Client()
    page = client.get(reverse("choose_password", args=[uid, token]))["Location"]
    client.post(page, {"new_password1": "yet another one", "new_password2": "yet another one"})
    told = AuditEvent.objects.filter(event="account.password_changed").order_by("pk")
    assert [(event.username, event.address, event.details) for event in told] == [
        ("member", "127.0.0.1", {"by": "owner"}),
        ("member", "127.0.0.1", {"by": "link"}),
    ]


@pytest.mark.slow
def test_renaming_a_passkey_is_an_event(cast: Cast) -> None:
    data = {"name": "Laptop", "credential": {}}
    passkey = Authenticator.objects.create(user=cast.member, type="webauthn", data=data)
    client = cast.confirmed_client(cast.member)
    rename = reverse("mfa_edit_webauthn", args=[passkey.pk])
    assert client.post(rename, {"name": "x" * 101}).status_code == 200
    assert client.post(rename, {"name": "Old laptop"}).status_code == 302
    event = AuditEvent.objects.get(event="account.second_factor_renamed")
    assert (event.username, event.details) == ("member", {"before": "Laptop", "name": "Old laptop"})


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        (None, ""),
    ],
)
def test_limits_count_by_what_somebody_has_been_given(address: str | None, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.slow
def test_a_name_in_another_case_and_another_address_of_the_same_network_is_one_guesser(
    cast: Cast,
) -> None:
    cast.member.set_password(PASSWORD)
    cast.member.save()
    spellings = ("member", "Member", "MEMBER", "mEmber", "memBer")
    for number, name in enumerate(spellings):
        guess = {"login": name, "password": "guess"}
        Client(REMOTE_ADDR=f"2001:db8::{number}").post(reverse("account_login"), guess)
    client = Client(REMOTE_ADDR="2001:db8::9")
    answer = client.post(reverse("account_login"), {"login": "member", "password": PASSWORD})
    assert b"Too many attempts" in answer.content


# --- breached passwords -------------------------------------------------------------------------------------

BREACHED = "this one was in a breach"


class Breaches(QuietHandler):
    """Answers as Have I Been Pwned's range search does: the rest of each hash, and how often it was seen."""

    def do_GET(self) -> None:
        known = hashlib.sha1(BREACHED.encode(), usedforsecurity=False).hexdigest().upper()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{known[5:]}:42\r\n{'0' * 35}:1\r\n".encode())


@pytest.fixture
def breaches(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    with serving(Breaches) as server:
        monkeypatch.setattr(PwnedPasswords, "api_endpoint", f"{address_of(server)}/")
        yield server


def test_a_password_that_was_in_a_breach_is_refused(breaches: HTTPServer, cast: Cast) -> None:
    with pytest.raises(ValidationError, match="data breach"):
        validate_password(BREACHED, cast.member)
    validate_password("nobody has used this one", cast.member)


def test_without_the_service_common_ones_are_still_refused(
    breaches: HTTPServer, monkeypatch: pytest.MonkeyPatch, cast: Cast
) -> None:
    monkeypatch.setattr(PwnedPasswords, "api_endpoint", "http://127.0.0.1:1/")
    with pytest.raises(ValidationError, match="too common"):
        validate_password("1q2w3e4r5t6y", cast.member)
    validate_password(BREACHED, cast.member)


# --- sessions and time zones --------------------------------------------------------------------------------


@pytest.mark.slow
def test_nobody_ends_the_session_of_another(cast: Cast) -> None:
    theirs = sign_in("viewer")
    row = UserSession.objects.get(user=cast.viewer)
    answer = cast.client(cast.member).post(reverse("own_sessions"), {"session": row.pk})
    assert answer.status_code == 404
    assert theirs.get(reverse("workspaces")).status_code == 200


@pytest.mark.slow
def test_signing_out_all_others_keeps_the_one_at_hand(cast: Cast) -> None:
    here, there = sign_in(), sign_in()
    assert here.post(reverse("own_sessions"), follow=True).status_code == 200
    assert here.get(reverse("workspaces")).status_code == 200
    assert there.get(reverse("workspaces")).status_code == 302


@pytest.mark.slow
def test_a_session_is_noted_as_used_now_and_then(cast: Cast) -> None:
    client = sign_in()
    UserSession.objects.update(last_seen_at="2026-01-01T00:00Z")
    client.get(reverse("workspaces"))
    assert UserSession.objects.get().last_seen_at.month == 1
    session = client.session
    session["seen_at"] -= middleware.SEEN_EVERY + 1
    session.save()
    client.get(reverse("workspaces"))
    assert UserSession.objects.get().last_seen_at.date() == timezone.now().date()


@pytest.mark.slow
def test_expired_sessions_are_taken_away(cast: Cast) -> None:
    sign_in()
    sign_in("viewer")
    expired = UserSession.objects.get(user=cast.viewer).session_key
    Session.objects.filter(pk=expired).update(expire_date="2026-01-01T00:00Z")
    clear_sessions()
    assert [row.user for row in UserSession.objects.all()] == [cast.member]


@pytest.mark.slow
def test_the_organizations_zone_counts_where_the_browser_says_none(cast: Cast) -> None:
    answer = cast.client(cast.support).post(
        reverse("organization"), {"time_zone": "Asia/Kolkata"}, follow=True
    )
    assert b"settings were saved" in answer.content
    assert Organization.get().time_zone == "Asia/Kolkata"
    event = AuditEvent.objects.get(event="organization.edited")
    assert event.details == {"before": {"time_zone": "UTC"}, "time_zone": "Asia/Kolkata"}
    assert str(zone_of(cast.member, "")) == "Asia/Kolkata"
    assert str(zone_of(cast.member, "Europe/Rome")) == "Europe/Rome"
    for nonsense in ("../../etc/passwd", "\x00", "Mars/Olympus", "/etc/localtime"):
        assert str(zone_of(cast.member, nonsense)) == "Asia/Kolkata"
    own_account.choose_time_zone(Actor(cast.member), "America/Lima")
    cast.member.refresh_from_db()
    assert str(zone_of(cast.member, "Europe/Rome")) == "America/Lima"


@pytest.mark.slow
def test_a_zone_that_does_not_exist_is_refused(cast: Cast) -> None:
    answer = cast.client(cast.admin).post(reverse("organization"), {"time_zone": "Mars/Olympus"})
    assert answer.status_code == 422
    assert (
        cast.client(cast.member)
        .post(reverse("own_account"), {"time_zone": "Mars/Olympus"})
        .status_code
        == 422
    )
