"""REST for webhooks: Organization Administrators have image events sent to addresses of theirs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from pydantic import Field

from images import webhooks
from images.models import Delivery, ImageEvent, Webhook
from ri_platform.api import ERRORS, Camel, Text, router
from workspaces.access import Action, Actor
from workspaces.api import Nothing, guarded

routes = router("Webhooks")


class WebhookIn(Camel):
    """Without events, all are sent."""

    url: Text
    events: list[ImageEvent] = Field(default_factory=list, max_length=len(ImageEvent))


class WebhookOut(Camel):
    id: UUID
    url: str
    events: list[ImageEvent]
    creation_time: datetime


class WebhookMade(WebhookOut):
    """`secret` checks the signatures of the messages (Standard Webhooks); it is told this once."""

    secret: str


class WebhooksOut(Camel):
    webhooks: list[WebhookOut]


class DeliveryOut(Camel):
    """A message; `state` is queued, running, succeeded or failed, and `nextTime` when it is tried again."""

    id: int
    event: ImageEvent
    state: str
    attempts: int
    payload: dict[str, Any]
    response_status: int | None = None
    error: str
    creation_time: datetime
    next_time: datetime | None = None
    completion_time: datetime | None = None


class DeliveriesOut(Camel):
    deliveries: list[DeliveryOut]


@routes.post("/webhooks", response={200: WebhookMade, **ERRORS}, summary="Create a webhook")
@guarded(Action.MANAGE_WEBHOOKS)
def create_webhook(request: HttpRequest, wanted: WebhookIn) -> dict[str, Any]:
    """Messages are signed with the secret that the answer tells."""
    hook = webhooks.create_webhook(Actor.of(request), wanted.url, wanted.events)
    return {**described(hook), "secret": hook.secret}


@routes.get("/webhooks", response={200: WebhooksOut, **ERRORS}, summary="List webhooks")
@guarded(Action.MANAGE_WEBHOOKS)
def list_webhooks(request: HttpRequest) -> dict[str, Any]:
    """All of this instance."""
    return {"webhooks": [described(hook) for hook in Webhook.objects.all()]}


@routes.delete(
    "/webhooks/{webhook_id}", response={200: Nothing, **ERRORS}, summary="Remove a webhook"
)
@guarded(Action.MANAGE_WEBHOOKS)
def remove_webhook(request: HttpRequest, webhook_id: UUID) -> dict[str, Any]:
    """Messages that are under way are dropped."""
    webhooks.remove_webhook(Actor.of(request), webhook_id)
    return {}


@routes.get(
    "/webhooks/{webhook_id}/deliveries",
    response={200: DeliveriesOut, **ERRORS},
    summary="List a webhook's messages",
)
@guarded(Action.MANAGE_WEBHOOKS)
def list_deliveries(request: HttpRequest, webhook_id: UUID) -> dict[str, Any]:
    """The newest hundred, newest first; they are kept for 30 days."""
    hook = webhooks.webhook_of(Actor.of(request), webhook_id)
    return {"deliveries": [delivery_described(item) for item in hook.deliveries.all()[:100]]}


@routes.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}:sendAgain",
    response={200: DeliveryOut, **ERRORS},
    summary="Send a message again",
)
@guarded(Action.MANAGE_WEBHOOKS)
def send_again(request: HttpRequest, webhook_id: UUID, delivery_id: int) -> dict[str, Any]:
    """As a new message with the same content."""
    return delivery_described(webhooks.send_again(Actor.of(request), webhook_id, delivery_id))


def described(hook: Webhook) -> dict[str, Any]:
    return {
        "id": hook.pk,
        "url": hook.url,
        "events": hook.events,
        "creation_time": hook.created_at,
    }


def delivery_described(item: Delivery) -> dict[str, Any]:
    waiting = item.state == "queued"
    return {
        "id": item.pk,
        "event": item.event,
        "state": item.state,
        "attempts": item.attempts,
        "payload": item.payload,
        "response_status": item.response_status,
        "error": item.error_message,
        "creation_time": item.created_at,
        "next_time": item.due_at if waiting and item.attempts else None,
        "completion_time": item.finished_at,
    }
