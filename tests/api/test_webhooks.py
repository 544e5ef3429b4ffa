"""Webhooks by REST: made with their secret told once, listed, looked into, removed."""

from __future__ import annotations

import pytest
from django.utils import timezone

from images.models import BaseImage, Delivery, ImageEvent
from images.models.lease import WorkState
from images.operations import removal, webhooks
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor


@pytest.mark.slow
def test_a_webhook_is_made_looked_into_and_removed(ask: Ask, cast: Cast, base: BaseImage) -> None:
    body = {"url": "https://example.org/hook", "events": ["image.removed"]}
    made = ask(cast.admin, "POST", "/v1/webhooks", body).json()
    assert made["secret"].startswith("whsec_")
    (listed,) = ask(cast.admin, "GET", "/v1/webhooks").json()["webhooks"]
    assert listed == {key: made[key] for key in ("id", "url", "events", "creationTime")}
    factories.make_image("churn", base=base)
    removal.remove_image(Actor(cast.admin), "churn")
    path = f"/v1/webhooks/{made['id']}/deliveries"
    (delivery,) = ask(cast.admin, "GET", path).json()["deliveries"]
    assert (delivery["event"], delivery["state"]) == ("image.removed", "queued")
    again = ask(cast.admin, "POST", f"{path}/{delivery['id']}:sendAgain").json()
    assert again["payload"] == delivery["payload"]
    assert again["id"] != delivery["id"]
    assert ask(cast.admin, "DELETE", f"/v1/webhooks/{made['id']}").status_code == 200
    assert not Delivery.objects.exists()
    assert ask(cast.admin, "GET", path).status_code == 404


def test_an_unknown_event_is_told(ask: Ask, cast: Cast) -> None:
    body = {"url": "https://example.org/hook", "events": ["image.eaten"]}
    answer = ask(cast.admin, "POST", "/v1/webhooks", body)
    assert answer.status_code == 400
    assert answer.json()["details"][0]["field"] == "events[0]"


@pytest.mark.parametrize(
    ("state", "attempts", "told"),
    [
        (WorkState.QUEUED, 0, False),
        (WorkState.QUEUED, 2, True),
        (WorkState.RUNNING, 2, False),
        (WorkState.SUCCEEDED, 2, False),
    ],
)
def test_the_next_attempt_is_told_of_what_waits_for_another(
    state: WorkState, attempts: int, told: bool, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    hook = webhooks.create_webhook(Actor(cast.admin), "https://example.org/hook", [])
    now = timezone.now()
    item = Delivery.objects.create(
        webhook=hook,
        event=ImageEvent.REMOVED,
        payload={},
        state=state,
        attempts=attempts,
        lease_expires_at=now if state == WorkState.RUNNING else None,
        finished_at=now if state == WorkState.SUCCEEDED else None,
    )
    (shown,) = ask(cast.admin, "GET", f"/v1/webhooks/{hook.pk}/deliveries").json()["deliveries"]
    due = item.due_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert shown.get("nextTime") == (due if told else None)
    assert ("completionTime" in shown) == (state == WorkState.SUCCEEDED)
