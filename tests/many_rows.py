"""Rows for tests of lists that are longer than a page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from images.models import Delivery, Status, Webhook
from tests import factories
from tests.cast import Cast
from workspaces.models import ApiToken, AuditEvent, Membership

ROWS = 7
# With what a place has to quote.
NAMES = [f"row {number}, %,&é" for number in range(ROWS)]
Make = Callable[[Cast], None]


def make_members(cast: Cast) -> None:
    for name in NAMES:
        Membership.objects.create(workspace=cast.workspace, user=factories.make_user(name))


def make_tokens(cast: Cast) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    for name in NAMES:
        ApiToken.objects.create(
            workspace=cast.workspace, user=cast.admin, name=name, secret_hash=name,
            suffix="abcd", expires_at=tomorrow,
        )  # fmt: skip


def make_workspaces(cast: Cast) -> None:
    for name in NAMES:
        factories.make_workspace(name)


def make_models(cast: Cast) -> None:
    for name in NAMES:
        factories.make_model(cast.workspace, name=name)


def make_history(cast: Cast) -> None:
    model = factories.make_model(cast.workspace, name="scores")
    now = timezone.now()
    for name in NAMES:
        model.assignments.create(
            external_reference="example.org/" + str(len(name)),
            state="past",
            began_at=now,
            ended_at=now,
        )


def make_events(cast: Cast) -> None:
    for name in NAMES:
        AuditEvent.objects.create(event="image.created", object_type="x", object_name=name)


def make_builds(cast: Cast) -> None:
    base = factories.make_base_image()
    image = factories.make_image("churn", base=base)
    for number in range(2, ROWS + 2):
        factories.make_build(image, base, Status.READY, number)


def make_webhooks(cast: Cast) -> None:
    for number in range(ROWS):
        Webhook.objects.create(
            url=f"https://example.org/{number}", events=["image.ready"], secret="x"
        )
    for _ in range(ROWS):
        Delivery.objects.create(
            webhook=Webhook.objects.order_by("pk")[0], event="image.ready", payload={}
        )
