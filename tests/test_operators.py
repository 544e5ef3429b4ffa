"""Django admin is for operators: shown to nobody else, edits nothing, and acts by the same operations."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from images.models import BaseImage, Build, ManagedImage, Status, TaskDue
from images.models.lease import WorkState
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import ApiToken, AuditEvent, InstanceRole, User
from workspaces.operations import tokens

pytestmark = pytest.mark.slow


@pytest.fixture
def operator(cast: Cast) -> Client:
    User.objects.filter(pk=cast.admin.pk).update(is_superuser=True, is_staff=True)
    return cast.client(cast.admin)


def act(client: Client, model: str, action: str, *rows: Any) -> str:
    answer = client.post(
        reverse(f"admin:{model}_changelist"),
        {"action": action, "_selected_action": [row.pk for row in rows]},
        follow=True,
    )
    assert answer.status_code == 200
    return "\n".join(str(message) for message in answer.context["messages"])


def test_only_superusers_who_administer_the_organization_enter(
    cast: Cast, operator: Client
) -> None:
    assert operator.get("/django-admin/").status_code == 200
    User.objects.filter(pk=cast.admin.pk).update(role=InstanceRole.BASIC)
    assert operator.get("/django-admin/").status_code == 302
    User.objects.filter(pk=cast.support.pk).update(is_staff=True)
    assert cast.client(cast.support).get("/django-admin/").status_code == 302
    assert (
        Client().get("/django-admin/login/?next=//evil.example")["Location"].startswith("/signin")
    )


def test_createsuperuser_makes_an_operator(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery staple")
    call_command("createsuperuser", "--noinput", "--username=root", "--email=r@example.org")
    client = Client()
    client.force_login(User.objects.get(username="root"))
    assert client.get("/django-admin/").status_code == 200


def test_no_page_edits_or_deletes_anything(operator: Client, rf: Any) -> None:
    request = rf.get("/")
    request.user = User.objects.get(username="admin")
    for model, page in admin.site._registry.items():
        assert not page.has_change_permission(request), model
        assert not page.has_delete_permission(request), model
        assert page.has_add_permission(request) == (model is BaseImage), model


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str))
def test_every_list_opens_and_costs_the_same_with_more_rows(
    model: Any, operator: Client, cast: Cast, base: BaseImage, django_assert_max_num_queries: Any
) -> None:
    names = [f"image-{number}" for number in range(12)]
    factories.make_images(names, base=base, created_by=cast.member)
    for number in range(12):
        tokens.create_token(Actor(cast.member), cast.workspace, f"t{number}")
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    with django_assert_max_num_queries(9):
        assert operator.get(address).status_code == 200
    row = model.objects.first()
    if row is not None:
        change = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        assert operator.get(reverse(change, args=[row.pk])).status_code == 200


def test_images_are_removed_and_rebuilt_by_the_same_operations(
    operator: Client, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base)
    assert "churn is being built" in act(operator, "images_managedimage", "rebuild", image)
    assert "churn is being built already" in act(operator, "images_managedimage", "rebuild", image)
    assert "churn was removed" in act(operator, "images_managedimage", "remove_images", image)
    events = AuditEvent.objects.filter(object_name="churn").values_list("event", flat=True)
    assert set(events) == {"image.rebuild_requested", "image.removed"}


def test_builds_are_woken_cancelled_and_retried(operator: Client, base: BaseImage) -> None:
    image = factories.make_image("churn", base=base, status=Status.BUILDING_FIRST_TIME)
    build = image.builds.get()
    assert "was sent to a worker" in act(operator, "images_build", "wake", build)
    assert "was cancelled" in act(operator, "images_build", "cancel", build)
    assert "It has ended" in act(operator, "images_build", "wake", build)
    assert "is built again" in act(operator, "images_build", "retry", build)
    assert [b.state for b in Build.objects.order_by("number")] == [
        WorkState.CANCELLED,
        WorkState.QUEUED,
    ]


def test_whatever_is_due_stands_in_one_list_and_is_sent_to_a_worker(
    operator: Client, base: BaseImage, cast: Cast
) -> None:
    image = factories.make_image("churn", base=base, status=Status.BUILDING_FIRST_TIME)
    factories.make_base_image(image_type="nlp", state=WorkState.QUEUED, manifest_digest="")
    factories.make_alteration(factories.make_image("ready", base=base), state=WorkState.QUEUED)
    gone = factories.make_image("gone", base=base)
    ManagedImage.objects.filter(pk=gone.pk).update(
        removed_at=timezone.now(), deletion_due_at=timezone.now(), repository_error="Denied."
    )
    due = {task.task: task for task in TaskDue.objects.all()}
    assert set(due) == {
        "run_build",
        "prepare_base_repository",
        "resolve_alteration",
        "delete_repository",
    }
    assert (due["run_build"].of, due["delete_repository"].error) == ("churn #1", "Denied.")
    address = reverse("admin:images_taskdue_changelist")
    only = operator.get(address, {"task": "delete_repository", "state": "queued"}).content.decode()
    assert "gone" in only
    assert "churn #1" not in only
    page = operator.get(address, {"q": "churn"}).content.decode()
    assert "churn #1" in page
    assert "gone" not in page
    assert "run_build of churn #1 was sent" in act(
        operator, "images_taskdue", "wake", due["run_build"]
    )
    assert AuditEvent.objects.get(event="task.woken").object_name == "run_build of churn #1"
    assert Build.objects.claim(image.builds.get().pk, seconds=60)
    assert "A worker is at it" in act(operator, "images_taskdue", "wake", due["run_build"])


def test_base_images_are_imported_and_retired(operator: Client, base: BaseImage) -> None:
    add = reverse("admin:images_baseimage_add")
    assert operator.get(add).status_code == 200
    wanted = {
        "image_type": "all",
        "python_version": "3.13",
        "platform_version": "2026.11",
        "source": "suite:trixie",
    }
    assert operator.post(add, wanted).status_code == 302
    imported = BaseImage.objects.get(platform_version="2026.11")
    assert (imported.state, imported.source) == (WorkState.QUEUED, "suite:trixie")
    again = operator.post(add, wanted, follow=True).content.decode()
    assert "is being imported already" in again
    for source, sentence in (
        ("rootfs:/etc", "own files and the catalogue are for manage.py"),
        ("suite:trixie | rootfs:/etc", "own files and the catalogue are for manage.py"),
        ("catalogue:nlp", "own files and the catalogue are for manage.py"),
        ("trixie", "is not a source of base images"),
    ):
        refused = operator.post(add, {**wanted, "source": source})
        assert refused.status_code == 200
        assert sentence in refused.content.decode()
    assert "was retired" in act(operator, "images_baseimage", "retire", base)
    assert "is not offered as it is" in act(operator, "images_baseimage", "retire", base)
    base.refresh_from_db()
    assert not base.is_current
    assert ManagedImage.objects.count() == 0


def test_accounts_and_tokens_are_changed_by_operations(operator: Client, cast: Cast) -> None:
    token = tokens.create_token(Actor(cast.member), cast.workspace, "nightly").token
    assert "was revoked" in act(operator, "workspaces_apitoken", "revoke", token)
    assert not ApiToken.objects.exists()
    shown = act(operator, "workspaces_user", "deactivate", cast.member, cast.admin)
    assert "member was deactivated" in shown
    assert "This is your own account." in shown
    act(operator, "workspaces_user", "reactivate", cast.member)
    assert User.objects.get(pk=cast.member.pk).is_active
    secret = tokens.create_token(Actor(cast.member), cast.workspace, "x").token.secret_hash
    assert (
        secret not in operator.get(reverse("admin:workspaces_apitoken_changelist")).content.decode()
    )


def test_no_address_finds_out_what_no_page_shows(operator: Client) -> None:
    """Comparing a field that is not offered as a filter would tell a secret letter by letter."""
    for model, page in admin.site._registry.items():
        route = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        filters = {getattr(item, "parameter_name", item) for item in page.list_filter}
        offered = {*filters, *page.linked_by}  # type: ignore[attr-defined]
        for field in model._meta.get_fields():
            if field.name in offered or field.auto_created:
                continue
            for lookup in (field.name, f"{field.name}__startswith", f"{field.name}__isnull"):
                answer = operator.get(route, {lookup: "1"})
                assert answer.status_code == 400, f"{route}?{lookup}="


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("workspaces_membership", "user__password__startswith"),
        ("workspaces_apitoken", "user__password__regex"),
        ("images_delivery", "webhook__secret__startswith"),
        ("images_managedimage", "created_by__password__startswith"),
        ("images_build", "image__created_by__password__gt"),
        ("images_build", "state__in__x"),
    ],
)
def test_nor_does_one_by_way_of_a_relation(model: str, lookup: str, operator: Client) -> None:
    answer = operator.get(reverse(f"admin:{model}_changelist"), {lookup: "a"})
    assert answer.status_code in (302, 400)
    if answer.status_code == 302:  # Django's answer to a lookup that makes no sense
        assert answer["Location"].endswith("?e=1")
