"""Organization settings: accounts, passwords by one-time link, all tokens, and the audit log."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.db import connection, transaction
from django.db.utils import IntegrityError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ri_platform.errors import Conflict, NotAllowed
from tests.cast import Cast
from workspaces import audit
from workspaces.access import Actor
from workspaces.models import AuditEvent, InstanceRole, User
from workspaces.operations import accounts, tokens

NEW = "a much longer passphrase"


def link_in(page: str) -> str:
    found = re.search(r'id="link">http://testserver([^<]+)<', page)
    assert found is not None
    return found[1]


def choose(link: str, password: str) -> Client:
    client = Client()
    form = client.get(link)["Location"]
    client.post(form, {"new_password1": password, "new_password2": password})
    return client


def signs_in(username: str, password: str) -> bool:
    client = Client()
    client.post(reverse("account_login"), {"login": username, "password": password})
    return SESSION_KEY in client.session


@pytest.mark.slow
def test_an_account_is_created_with_a_link_that_works_once(cast: Cast) -> None:
    page = cast.client(cast.admin).post(
        reverse("create_account"), {"username": "ada", "email": "ada@example.org", "role": "basic"}
    )
    assert "no-store" in page["Cache-Control"]
    link = link_in(page.content.decode())
    choose(link, NEW)
    assert signs_in("ada", NEW)
    again = Client().get(link, follow=True).content
    assert b"This link no longer works" in again
    taken = cast.client(cast.admin).post(
        reverse("create_account"), {"username": "ada", "email": "", "role": "basic"}
    )
    assert taken.status_code == 422
    assert b"There is an account named ada already." in taken.content


@pytest.mark.slow
def test_a_reset_ends_the_old_password_and_open_sessions(cast: Cast) -> None:
    cast.member.set_password("correct horse battery staple")
    cast.member.save()
    session = cast.client(cast.member)
    page = cast.client(cast.admin).post(reverse("reset_password", args=[cast.member.pk]))
    assert not signs_in("member", "correct horse battery staple")
    assert session.get(reverse("workspaces")).status_code == 302
    choose(link_in(page.content.decode()), NEW)
    assert signs_in("member", NEW)


@pytest.mark.slow
def test_a_role_counts_at_once_for_sessions_and_tokens(cast: Cast) -> None:
    session = cast.client(cast.support)
    secret = tokens.create_token(Actor(cast.support), cast.workspace, "s").secret
    assert session.get(reverse("organization")).status_code == 200
    # One revokes a support user's privileges by another role.
    cast.client(cast.admin).post(reverse("change_role", args=[cast.support.pk]), {"role": "basic"})
    assert session.get(reverse("organization")).status_code == 403
    answer = Client().delete("/v1/images/nobody", headers={"rime-api-key": secret})
    assert answer.status_code == 401
    event = AuditEvent.objects.get(event="account.role_changed")
    assert event.details == {"before": "support", "role": "basic"}


@pytest.mark.slow
def test_a_deactivated_account_is_out_at_once_and_can_come_back(cast: Cast) -> None:
    session = cast.client(cast.member)
    secret = tokens.create_token(Actor(cast.member), cast.workspace, "s").secret
    cast.client(cast.admin).post(reverse("deactivate_account", args=[cast.member.pk]))
    assert session.get(reverse("workspaces")).status_code == 302
    answer = Client().get("/v1/images", headers={"rime-api-key": secret})
    assert answer.status_code == 401
    cast.client(cast.admin).post(reverse("reactivate_account", args=[cast.member.pk]))
    assert User.objects.get(pk=cast.member.pk).is_active


def test_the_last_organization_administrator_stays(cast: Cast) -> None:
    with pytest.raises(Conflict, match="your own account"):
        accounts.deactivate_account(Actor(cast.admin), cast.admin)
    with pytest.raises(Conflict, match="the last Organization Administrator"):
        accounts.change_role(Actor(cast.admin), cast.admin, InstanceRole.BASIC)
    accounts.change_role(Actor(cast.admin), cast.member, InstanceRole.ORGANIZATION_ADMINISTRATOR)
    accounts.change_role(Actor(cast.admin), cast.admin, InstanceRole.BASIC)


@pytest.mark.slow
def test_a_support_user_cannot_prevent_being_revoked(cast: Cast) -> None:
    support, administrator = Actor(cast.support), InstanceRole.ORGANIZATION_ADMINISTRATOR
    for change in (
        lambda: accounts.change_role(support, cast.support, administrator),
        lambda: accounts.change_role(support, cast.member, administrator),
        lambda: accounts.change_role(support, cast.admin, InstanceRole.BASIC),
        lambda: accounts.create_account(support, "ada", role=administrator),
        lambda: accounts.deactivate_account(support, cast.admin),
        lambda: accounts.password_link(support, cast.admin),
        lambda: accounts.remove_second_factors(support, cast.admin),
    ):
        with pytest.raises(NotAllowed, match="Only Organization Administrators themselves"):
            change()
    assert not AuditEvent.objects.exists()
    client = cast.client(cast.support)
    page = client.get(reverse("accounts")).content.decode()
    assert "Only Organization Administrators themselves" in page
    answer = client.post(reverse("change_role", args=[cast.support.pk]), {"role": administrator})
    assert answer.status_code == 422
    assert client.post(reverse("reset_password", args=[cast.admin.pk])).status_code == 403
    # Everything else of an organization administrator's is theirs.
    assert accounts.change_role(support, cast.member, InstanceRole.SUPPORT).role == "support"


def test_all_tokens_are_listed_with_their_limit(cast: Cast) -> None:
    tokens.create_token(Actor(cast.member), cast.workspace, "nightly")
    page = cast.client(cast.support).get(reverse("all_tokens")).content.decode()
    assert "This instance has 1 of at most 200 tokens." in page
    assert "nightly" in page
    assert "Workspace 1" in page


# --- audit log ------------------------------------------------------------------------------------------


def event(name: str, **values: object) -> AuditEvent:
    return AuditEvent.objects.create(
        **{"event": name, "object_type": "x", "object_name": "thing", **values}
    )


def test_the_database_refuses_to_change_or_delete_an_event(cast: Cast) -> None:
    kept = event("image.created")
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        AuditEvent.objects.filter(pk=kept.pk).update(event="image.removed")
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        kept.delete()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM workspaces_auditevent")
    # An event outlives the account it speaks of, as it was written.
    mine = event("image.created", user=cast.stranger, username="stranger")
    number = cast.stranger.pk
    cast.stranger.delete()
    mine.refresh_from_db()
    assert (mine.user_id, mine.username) == (number, "stranger")


@pytest.mark.django_db(transaction=True)
def test_old_events_are_pruned_and_that_is_an_event(cast: Cast) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workspaces_auditevent (event, at, username, role, token_name, object_type,"
            " object_name, workspace_name, details) VALUES ('old', %s, '', '', '', 'x', 'x', '', '{}')",
            [timezone.now() - timedelta(days=366)],
        )
    event("young")
    assert audit.prune() == 1
    assert set(AuditEvent.objects.values_list("event", flat=True)) == {"young", "audit.pruned"}
    assert AuditEvent.objects.get(event="audit.pruned").details["events"] == 1
    assert audit.prune() == 0
    with pytest.raises(IntegrityError):
        AuditEvent.objects.all().delete()


@pytest.mark.slow
def test_the_log_is_filtered_and_paged(cast: Cast) -> None:
    for number in range(60):
        event("image.created", username="ada", object_name=f"image-{number:02}")
    event("image.removed", username="bob")
    client = cast.client(cast.admin)
    url = reverse("audit_log")
    first = client.get(url).content.decode()
    assert "image.removed" in first
    assert "image-59" in first
    assert "image-09" not in first
    older = re.search(r'href="\?(after=\d+)"', first)
    assert older is not None
    assert "image-09" in client.get(f"{url}?{older[1]}").content.decode()
    only = client.get(url, {"username": "bob"}).content.decode()
    assert "image.removed" in only
    assert "image-59" not in only
    tomorrow = (timezone.now() + timedelta(days=1)).date().isoformat()
    assert b"No event matches" in client.get(url, {"since": tomorrow}).content
    assert cast.client(cast.manager).get(url).status_code == 403


def test_the_export_is_csv_that_no_spreadsheet_runs_and_is_recorded(cast: Cast) -> None:
    event("image.created", object_name='=HYPERLINK("x")', username="ada")
    answer = cast.client(cast.admin).get(reverse("export_audit_log"), {"username": "ada"})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert [row["object"] for row in rows] == ['\'=HYPERLINK("x")']
    taken = AuditEvent.objects.get(event="audit.exported")
    assert (taken.user, taken.details) == (cast.admin, {"username": "ada"})
    refused = cast.client(cast.admin).get(reverse("export_audit_log"), {"since": "yesterday"})
    assert refused.status_code == 400


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_export_is_streamed_however_long_the_log_is(cast: Cast) -> None:
    AuditEvent.objects.bulk_create(
        AuditEvent(event="image.created", object_type="x", object_name=f"image-{number}")
        for number in range(9000)
    )
    answer = cast.client(cast.admin).get(reverse("export_audit_log"))
    assert answer.streaming
    rows = iter(answer)
    assert next(rows).startswith(b"time,event,user")
    assert b"audit.exported" in next(rows)
    # The first rows are on their way before the last ones have been read.
    with CaptureQueriesContext(connection) as asked:
        assert sum(1 for _ in rows) == 9000
    assert len(asked) == 5


@pytest.mark.slow
def test_signing_in_out_and_failing_to_are_events(cast: Cast) -> None:
    cast.member.set_password("correct horse battery staple")
    cast.member.save()
    client = Client()
    client.post(reverse("account_login"), {"login": "member", "password": "wrong"})
    client.post(reverse("account_login"), {"login": "nobody\x00", "password": "wrong"})
    client.post(
        reverse("account_login"), {"login": "member", "password": "correct horse battery staple"}
    )
    client.post(reverse("account_logout"))
    found = AuditEvent.objects.order_by("pk").values_list("event", "username", "address")
    assert ("session.failed", "member", "127.0.0.1") in found
    assert ("session.started", "member", "127.0.0.1") in found
    assert ("session.ended", "member", "127.0.0.1") in found
