"""A web process as production runs it: behind a proxy that ends TLS, asked over real HTTP."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from ri_platform.local import services
from tests import factories
from tests.web_process import web_process
from workspaces.models import AuditEvent, User

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
HOST = "images.example.org"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def production(django_db_setup: None) -> Iterator[str]:
    variables = {
        "RI_HTTPS": "true",
        "RI_ALLOWED_HOSTS": f"{HOST},127.0.0.1",
        "RI_TRUSTED_PROXIES": "1",
    }
    with web_process(services.free_port(), **variables) as address:
        yield urlsplit(address).netloc


def ask(
    production: str, method: str, path: str, body: str = "", **headers: str
) -> http.client.HTTPResponse:
    """As the proxy asks; a header that is given overrides its own."""
    connection = http.client.HTTPConnection(production, timeout=20)
    sent = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body or None, sent)
    answer = connection.getresponse()
    answer.read_text = answer.read().decode()  # type: ignore[attr-defined]
    return answer


def cookies_of(answer: http.client.HTTPResponse) -> dict[str, str]:
    """Name → everything that stands behind it."""
    return dict(line.split("=", 1) for line in answer.headers.get_all("Set-Cookie") or [])


@pytest.mark.django_db(transaction=True)
def test_signing_in_gives_cookies_for_https_and_the_server_alone(production: str) -> None:
    user = factories.make_user("member")
    user.set_password(PASSWORD)
    user.save()
    page = ask(production, "GET", "/signin")
    first = cookies_of(page)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read_text)  # type: ignore[attr-defined]
    assert token is not None
    form = {"login": "member", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    csrf = first["csrftoken"].partition(";")[0]
    signed_in = ask(
        production, "POST", "/signin", urlencode(form),
        Cookie=f"csrftoken={csrf}", Referer=f"https://{HOST}/signin",
    )  # fmt: skip
    assert (signed_in.status, signed_in.headers["Location"]) == (302, "/workspaces")
    for name, value in {**first, **cookies_of(signed_in)}.items():
        assert "Secure" in value, name
        assert "HttpOnly" in value, name
        assert "SameSite=Lax" in value, name
    assert AuditEvent.objects.get(event="session.started").address == "203.0.113.9"
    # A form from elsewhere changes nothing, whatever cookies the browser sends with it.
    session = cookies_of(signed_in)["sessionid"].partition(";")[0]
    forged = ask(
        production, "POST", "/account", "time_zone=Asia%2FTokyo",
        Cookie=f"sessionid={session}", Origin="https://evil.example",
    )  # fmt: skip
    assert forged.status == 403
    assert User.objects.get(username="member").time_zone == ""


def test_browsers_are_told_to_stay_with_https(production: str) -> None:
    secure = ask(production, "GET", "/signin")
    assert secure.headers["Strict-Transport-Security"] == (
        "max-age=31536000; includeSubDomains; preload"
    )
    plain = ask(production, "GET", "/signin?next=/account", X_Forwarded_Proto="http")
    assert plain.status == 301
    assert plain.headers["Location"] == f"https://{HOST}/signin?next=/account"
    assert ask(production, "GET", "/healthz", X_Forwarded_Proto="http").status == 200


def test_what_the_page_may_do_is_said_on_every_kind_of_answer(production: str) -> None:
    for path in ("/signin", "/nowhere", "/api/docs", "/v1/images", "/static/css/theme.css"):
        answer = ask(production, "GET", path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Referrer-Policy"] == "same-origin", path
        assert answer.headers["Strict-Transport-Security"], path
    for path in ("/signin", "/nowhere", "/api/docs", "/v1/images"):
        answer = ask(production, "GET", path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
        assert answer.headers["X-Frame-Options"] == "DENY", path
        assert "camera=()" in answer.headers["Permissions-Policy"], path


def test_another_host_and_a_redirect_made_of_one_are_refused(production: str) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Host": "evil.example", "X_Forwarded_Proto": "http"},
    ):
        assert ask(production, "GET", "/signin", **headers).status == 400
    forwarded = ask(production, "GET", "/workspaces", X_Forwarded_Host="evil.example")
    assert "evil" not in forwarded.headers["Location"]


def test_a_file_in_a_form_is_refused_before_it_is_stored(production: str) -> None:
    connection = http.client.HTTPConnection(production, timeout=20)
    headers = {
        "Host": HOST,
        "X-Forwarded-Proto": "https",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": "5000000000",
    }
    connection.request("POST", "/signin", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 413
    assert b"request is larger than 2.5 MB" in answer.read()


def test_nothing_is_served_without_a_key_of_its_own() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RI_SECRET")}
    command = [sys.executable, "-c", "import ri_platform.wsgi"]
    environment = {**kept, "RI_HTTPS": "true", "DJANGO_SETTINGS_MODULE": "ri_platform.settings"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RI_SECRET_KEY is not set, so nothing is served." in done.stderr
