"""Webhooks by REST: made with their secret told once, listed, looked into, removed."""

from __future__ import annotations

from images.models import BaseImage, Delivery
from images.operations import removal
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.access import Actor


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
