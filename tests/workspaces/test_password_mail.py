"""Links to choose a password by mail: what comes, what a dead or strict server does, what nobody learns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from images.doctor.findings import State
from images.doctor.mail import mail_server as doctors_look
from ri_platform.env import Env
from ri_platform.errors import Invalid, NotAllowed
from ri_platform.local.services import free_port
from tests.cast import Cast
from tests.mail_server import PASSWORD, USER, Mailbox, authenticate, mail_server, tls_context
from workspaces import password_mail
from workspaces.access import Actor
from workspaces.models import AuditEvent, MailState, PasswordMail, User
from workspaces.operations.password_mail import ask_for_password_link, mail_password_link

pytestmark = pytest.mark.slow

CONSOLE = "https://images.example.org"


def use(settings: Any, url: str) -> None:
    """Configure mail as the environment would."""
    for name, value in Env({"EMAIL_URL": url}).mail_server("EMAIL_URL", help="").items():
        setattr(settings, name, value)
    settings.MAIL_CONFIGURED = True
    settings.DEFAULT_FROM_EMAIL = "RI Platform <platform@example.org>"


@pytest.fixture
def box(settings: Any) -> Iterator[Mailbox]:
    with mail_server() as box:
        use(settings, f"smtp://127.0.0.1:{box.port}")
        yield box


@pytest.fixture
def ada(cast: Cast) -> User:
    cast.member.email = "ada@example.org"
    cast.member.set_password("an old password of hers")
    cast.member.save()
    return cast.member


def send_again() -> MailState | None:
    PasswordMail.objects.update(due_at=timezone.now())
    return password_mail.send_next()


def link_in(box: Mailbox) -> str:
    found = re.search(r"https?://[^/]+(/password/\S+)", box.mails[-1].get_content())
    assert found is not None
    return found[1]


def test_an_administrators_link_arrives_and_works_once(cast: Cast, ada: User, box: Mailbox) -> None:
    page = cast.client(cast.admin).post(reverse("reset_password", args=[ada.pk]))
    assert page["Location"] == reverse("password_mail", args=[ada.pk])
    assert password_mail.send_due_mails() == 1
    (mail,) = box.mails
    assert (mail["To"], mail["From"]) == ("ada@example.org", "RI Platform <platform@example.org>")
    status = cast.client(cast.admin).get(page["Location"]).content.decode()
    assert "The mail was sent" in status
    assert "/password/" not in status.replace(reverse("reset_password", args=[ada.pk]), "")
    ada.refresh_from_db()
    assert not ada.check_password("an old password of hers")
    browser = Client()
    form = browser.get(link_in(box))["Location"]
    chosen = {"new_password1": "correct horse battery", "new_password2": "correct horse battery"}
    assert browser.post(form, chosen)["Location"] == reverse("account_login")
    ada.refresh_from_db()
    assert ada.check_password("correct horse battery")
    assert "no longer works" in Client().get(link_in(box), follow=True).content.decode()
    event = AuditEvent.objects.get(event="account.password_link_mailed")
    assert event.details == {"to": "ada@example.org"}


def test_a_new_account_with_an_address_gets_a_mail_and_one_without_a_link(
    cast: Cast, box: Mailbox
) -> None:
    client, url = cast.client(cast.admin), reverse("create_account")
    answer = client.post(url, {"username": "grace", "email": "grace@example.org", "role": "basic"})
    made = User.objects.get(username="grace")
    assert answer["Location"] == reverse("password_mail", args=[made.pk])
    password_mail.send_due_mails()
    assert box.mails[0]["To"] == "grace@example.org"
    shown = client.post(url, {"username": "edith", "role": "basic"}).content.decode()
    assert "/password/" in shown
    assert "The account has no e-mail address." in shown


def test_a_worker_that_stops_leaves_mails_to_another(
    cast: Cast, ada: User, box: Mailbox, told_to_stop: None
) -> None:
    cast.client(cast.admin).post(reverse("reset_password", args=[ada.pk]))
    assert password_mail.send_due_mails() == 0
    assert PasswordMail.objects.get().state == MailState.WAITING
    assert not box.mails


def test_without_a_mail_server_all_is_as_it_was(cast: Cast, ada: User) -> None:
    shown = cast.client(cast.admin).post(reverse("reset_password", args=[ada.pk])).content.decode()
    assert "/password/" in shown
    assert "This instance sends no mail." in shown
    assert not PasswordMail.objects.exists()
    assert "Forgot your password?" not in Client().get(reverse("account_login")).content.decode()
    assert Client().get(reverse("forgot_password")).status_code == 404
    with pytest.raises(Invalid, match="no mail server"):
        mail_password_link(Actor(cast.admin), ada, CONSOLE)
    assert doctors_look().state == State.SKIPPED


def test_who_manages_no_accounts_mails_nothing(cast: Cast, ada: User, box: Mailbox) -> None:
    for user in (cast.manager, ada):
        with pytest.raises(NotAllowed):
            mail_password_link(Actor(user), ada, CONSOLE)
    ada.role = "org_admin"
    ada.save()
    with pytest.raises(NotAllowed):
        mail_password_link(Actor(cast.support), ada, CONSOLE)


def test_a_dead_server_loses_nothing_and_says_so(cast: Cast, ada: User, settings: Any) -> None:
    port = free_port()
    use(settings, f"smtp://127.0.0.1:{port}")
    mail = mail_password_link(Actor(cast.admin), ada, CONSOLE)
    assert password_mail.send_next() == MailState.WAITING
    assert password_mail.send_next() is None
    mail.refresh_from_db()
    assert mail.error == "The mail server cannot be reached: Connection refused."
    page = cast.client(cast.admin).get(reverse("password_mail", args=[ada.pk])).content.decode()
    assert "Connection refused" in page
    assert "tried again by itself" in page
    with mail_server() as box:
        use(settings, f"smtp://127.0.0.1:{box.port}")
        assert send_again() == MailState.SENT
        assert f"{CONSOLE}/password/" in box.mails[0].get_content()
    mail.refresh_from_db()
    assert (mail.state, mail.error, mail.attempts) == ("sent", "", 2)


@pytest.mark.django_db(transaction=True)
def test_a_slow_server_keeps_neither_a_transaction_nor_another_worker(
    cast: Cast, ada: User, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []

    def look() -> None:
        """As another worker, in the middle of the mail."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND state = 'idle in transaction'"
            )
            found.append(cursor.fetchone())
        found.append(password_mail.send_next())
        connection.close()

    take = Mailbox.handle_DATA

    async def slowly(*arguments: Any) -> str:
        await asyncio.to_thread(look)
        return await take(*arguments)

    monkeypatch.setattr(Mailbox, "handle_DATA", slowly)
    mail_password_link(Actor(cast.admin), ada, CONSOLE)
    assert password_mail.send_next() == MailState.SENT
    assert found == [(0,), None]
    assert len(box.mails) == 1


def test_a_mail_whose_worker_died_is_sent_by_another(cast: Cast, ada: User, box: Mailbox) -> None:
    mail_password_link(Actor(cast.admin), ada, CONSOLE)
    assert password_mail.take_next() is not None
    assert password_mail.send_next() is None
    assert send_again() == MailState.SENT


def test_a_mail_that_fails_for_a_day_is_given_up(cast: Cast, ada: User, settings: Any) -> None:
    use(settings, f"smtp://127.0.0.1:{free_port()}")
    mail = mail_password_link(Actor(cast.admin), ada, CONSOLE)
    states = [send_again() for _ in range(len(password_mail.WAITS) + 1)]
    assert states == [MailState.WAITING] * len(password_mail.WAITS) + [MailState.FAILED]
    mail.refresh_from_db()
    page = cast.client(cast.admin).get(reverse("password_mail", args=[ada.pk])).content.decode()
    assert "The mail was not sent" in page


@pytest.mark.parametrize(
    ("answer", "state"), [("550 no such user", "failed"), ("450 later", "waiting")]
)
def test_a_refused_address_ends_it_and_a_busy_server_does_not(
    cast: Cast, ada: User, box: Mailbox, answer: str, state: str
) -> None:
    box.answer = answer
    mail_password_link(Actor(cast.admin), ada, CONSOLE)
    assert password_mail.send_next() == state
    mail = PasswordMail.objects.get()
    assert mail.error == f"The mail server refused the address ({answer[:3]})."


def test_tls_is_spoken_where_it_is_asked_for_and_certificates_are_checked(
    cast: Cast, ada: User, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = tls_context(tmp_path)
    options = {
        "tls_context": context,
        "require_starttls": True,
        "authenticator": authenticate,
        "auth_required": True,
    }
    with mail_server(**options) as box:
        at = f"localhost:{box.port}"
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        use(settings, f"smtp+tls://{USER}:{PASSWORD}@{at}")
        assert doctors_look().state == State.OK
        mail_password_link(Actor(cast.admin), ada, CONSOLE)
        assert send_again() == MailState.SENT
        assert len(box.mails) == 1
        monkeypatch.delenv("SSL_CERT_FILE")
        assert "certificate of the mail server is not trusted" in doctors_look().found
        use(settings, f"smtp://{at}")
        mail_password_link(Actor(cast.admin), ada, CONSOLE)
        assert send_again() == MailState.WAITING
        assert len(box.mails) == 1
    with mail_server() as box:
        use(settings, f"smtp+tls://{USER}:{PASSWORD}@localhost:{box.port}")
        found = doctors_look()
        assert (found.state, found.found) == (
            State.FAILED, "The mail server does not offer what EMAIL_URL asks for.",
        )  # fmt: skip


def test_tls_from_the_start(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, trusted = tls_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with mail_server(ssl_context=context) as box:
        use(settings, f"smtp+ssl://localhost:{box.port}")
        assert doctors_look().state == State.OK


def test_a_refused_password_is_told_and_never_repeated(
    cast: Cast,
    ada: User,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    context, trusted = tls_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with mail_server(tls_context=context, authenticator=authenticate, auth_required=True) as box:
        use(settings, f"smtp+tls://{USER}:wrong-{PASSWORD}@localhost:{box.port}")
        mail_password_link(Actor(cast.admin), ada, CONSOLE)
        assert send_again() == MailState.WAITING
        found = doctors_look()
    said = "The mail server refused the user or the password (535)."
    assert (found.state, found.found) == (State.FAILED, said)
    assert PasswordMail.objects.get().error == said
    page = cast.client(cast.admin).get(reverse("password_mail", args=[ada.pk])).content.decode()
    for text in (page, caplog.text):
        assert PASSWORD not in text
        assert "refused the user or the password" in text


def test_a_link_that_is_handed_over_takes_the_place_of_one_that_waits(
    cast: Cast, ada: User, box: Mailbox
) -> None:
    client, url = cast.client(cast.admin), reverse("reset_password", args=[ada.pk])
    client.post(url)
    assert "/password/" in client.post(url, {"by": "hand"}).content.decode()
    assert password_mail.send_due_mails() == 0
    assert box.mails == []


def test_an_address_that_changed_meanwhile_gets_nothing(
    cast: Cast, ada: User, box: Mailbox
) -> None:
    mail_password_link(Actor(cast.admin), ada, CONSOLE)
    User.objects.filter(pk=ada.pk).update(email="other@example.org")
    assert password_mail.send_next() == MailState.FAILED
    assert box.mails == []


# --- forgotten passwords ------------------------------------------------------------------------------------


def forget(name: str, address: str = "192.0.2.1") -> Any:
    return Client(REMOTE_ADDR=address).post(reverse("forgot_password"), {"name": name})


@pytest.mark.parametrize("name", ["member", "MEMBER", "ada@example.org", " Ada@Example.org "])
def test_a_forgotten_password_is_replaced_by_name_or_address(
    ada: User, box: Mailbox, name: str
) -> None:
    forget(name)
    assert password_mail.send_due_mails() == 1
    assert "somebody, most likely you" in box.mails[0].get_content()
    ada.refresh_from_db()
    assert ada.check_password("an old password of hers")
    assert Client().get(link_in(box)).status_code == 302


def test_nobody_learns_which_accounts_there_are(cast: Cast, ada: User, box: Mailbox) -> None:
    def answer(name: str) -> tuple[int, str]:
        found = forget(name)
        text = found.content.decode()
        return found.status_code, re.sub(r'value="\w{64}"', "", text)

    User.objects.filter(pk=cast.viewer.pk).update(email="viewer@example.org", is_active=False)
    cast.manager.set_unusable_password()
    cast.manager.email = "manager@example.org"
    cast.manager.save()
    known = answer("member")
    for name in ("nobody", "viewer", "manager", "stranger"):
        assert answer(name) == known
    assert PasswordMail.objects.count() == 5
    password_mail.send_due_mails()
    assert [mail["To"] for mail in box.mails] == ["ada@example.org"]
    assert PasswordMail.objects.count() == 1


def test_the_work_is_the_same_for_any_name(ada: User, box: Mailbox) -> None:
    def queries(name: str, address: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert forget(name, address).status_code == 200
        return [re.sub(r"\W.*", "", query["sql"]) for query in captured]

    known = queries("member", "198.51.100.1")
    assert known.count("INSERT") >= 2
    assert queries("nobody", "198.51.100.2") == known


def test_a_mailbox_is_not_flooded(ada: User, box: Mailbox, settings: Any) -> None:
    for number in range(6):
        forget(("member", "ada@example.org")[number % 2], f"198.51.100.{number}")
        password_mail.send_due_mails()
    assert len(box.mails) == settings.MAX_PASSWORD_MAILS
    PasswordMail.objects.update(created_at=timezone.now() - timedelta(hours=2))
    forget("member")
    assert password_mail.send_due_mails() == 1


def test_an_address_may_ask_a_few_times_a_minute(ada: User, box: Mailbox, settings: Any) -> None:
    answers = [forget(f"name-{n}").status_code for n in range(settings.MAX_FAILED_SIGN_INS + 1)]
    assert answers == [200] * settings.MAX_FAILED_SIGN_INS + [429]
    assert forget("member", "203.0.113.9").status_code == 200


def test_the_sign_in_page_leads_there(db: None, box: Mailbox) -> None:
    assert reverse("forgot_password") in Client().get(reverse("account_login")).content.decode()
    assert Client().get(reverse("forgot_password")).status_code == 200
    assert forget("").status_code == 422


def test_old_records_of_mails_are_forgotten(ada: User, box: Mailbox) -> None:
    ask_for_password_link("member", "192.0.2.1", CONSOLE)
    PasswordMail.objects.update(created_at=timezone.now() - 2 * password_mail.KEPT)
    password_mail.forget_old_mails()
    assert PasswordMail.objects.filter(state=MailState.WAITING).count() == 1
    password_mail.send_due_mails()
    password_mail.forget_old_mails()
    assert not PasswordMail.objects.exists()
