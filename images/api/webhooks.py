"""REST endpoints for webhooks, which send image events to addresses that Organization Administrators name."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from images.models import Delivery, ImageEvent, Webhook
from images.operations import webhooks
from ri_platform.api import ERRORS, Camel, Line, PageIn, PageOut, page_of, router
from ri_platform.text import column_length
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, guarded

routes = router(
    "Webhooks", "Have image events sent to addresses, signed; for Organization Administrators."
)

URL = "https://example.org/hooks/images"
PAYLOAD = {
    "type": "image.removed",
    "timestamp": "2026-03-14T09:26:53Z",
    "data": {"name": "churn"},
}


class WebhookIn(Camel):
    """The address and the events to send."""

    url: Line = Field(min_length=1, max_length=column_length(Webhook, "url"), examples=[URL])
    """An http or https address without a name and a password."""
    events: list[ImageEvent] = Field(default_factory=list, max_length=len(ImageEvent))
    """The events to send; all if none is named."""


class WebhookOut(Camel):
    """An address that events are sent to."""

    id: UUID
    """The webhook's identifier."""
    url: str = Field(examples=[URL])
    """The address."""
    events: list[ImageEvent]
    """The events that are sent."""
    creation_time: datetime = Field(validation_alias="created_at")
    """When it was created."""


class WebhookMade(WebhookOut):
    """A new webhook."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    """The secret for checking signatures (Standard Webhooks). Only this answer contains it."""


class WebhooksOut(PageOut):
    """The webhooks of the instance."""

    webhooks: list[WebhookOut]
    """The webhooks, oldest first."""


class DeliveryOut(Camel):
    """A message to a webhook."""

    id: int
    """The message's number."""
    event: ImageEvent
    """The event."""
    state: str = Field(examples=["succeeded"])
    """`queued`, `running`, `succeeded` or `failed`."""
    attempts: int
    """The number of attempts to send it."""
    payload: dict[str, Any] = Field(examples=[PAYLOAD])
    """The body of the message."""
    response_status: int | None = Field(None, examples=[204])
    """The HTTP status of the last answer."""
    error: str = Field(validation_alias="error_message")
    """The reason why the last attempt failed; may be empty."""
    creation_time: datetime = Field(validation_alias="created_at")
    """The time of the event."""
    next_time: datetime | None = Field(None, validation_alias="next_attempt_at")
    """The time of the next attempt."""
    completion_time: datetime | None = Field(None, validation_alias="finished_at")
    """The time when it was delivered or given up."""


class DeliveriesPageIn(PageIn):
    """The page of messages to return."""

    page_size: int = Field(100, ge=1, le=1000)
    """The largest number of messages to return."""


class DeliveriesOut(PageOut):
    """Messages to a webhook."""

    deliveries: list[DeliveryOut]
    """In order, newest first."""


@routes.post("/webhooks", response={200: WebhookMade, **ERRORS}, summary="Create a webhook")
@guarded(Action.MANAGE_WEBHOOKS)
def create_webhook(request: HttpRequest, wanted: WebhookIn) -> Webhook:
    """Registers an address for events. Its messages are signed with the secret in the answer."""
    return webhooks.create_webhook(Actor.of(request), wanted.url, wanted.events)


@routes.get("/webhooks", response={200: WebhooksOut, **ERRORS}, summary="List webhooks")
@guarded(Action.MANAGE_WEBHOOKS)
def list_webhooks(request: HttpRequest, asked: Query[PageIn]) -> dict[str, Any]:
    """Returns the webhooks of the instance, in pages."""
    rows = Webhook.objects.all()
    found, token = page_of(rows, ("created_at", "id"), asked.page_size, asked.page_token)
    return {"webhooks": found, "next_page_token": token}


@routes.delete(
    "/webhooks/{webhook_id}", response={200: Nothing, **ERRORS}, summary="Remove a webhook"
)
@guarded(Action.MANAGE_WEBHOOKS)
def remove_webhook(request: HttpRequest, webhook_id: UUID) -> dict[str, Any]:
    """Removes a webhook and drops its messages that are not delivered yet."""
    webhooks.remove_webhook(Actor.of(request), webhook_id)
    return {}


@routes.get(
    "/webhooks/{webhook_id}/deliveries",
    response={200: DeliveriesOut, **ERRORS},
    summary="List a webhook's messages",
)
@guarded(Action.MANAGE_WEBHOOKS)
def list_deliveries(
    request: HttpRequest, webhook_id: UUID, asked: Query[DeliveriesPageIn]
) -> dict[str, Any]:
    """Returns a webhook's messages, newest first, in pages. Messages are kept for 30 days."""
    rows = webhooks.webhook_of(Actor.of(request), webhook_id).deliveries.all()
    found, token = page_of(rows, ("id",), asked.page_size, asked.page_token, descending=True)
    return {"deliveries": found, "next_page_token": token}


@routes.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}:sendAgain",
    response={200: DeliveryOut, **ERRORS},
    summary="Send a message again",
)
@guarded(Action.MANAGE_WEBHOOKS)
def send_delivery_again(request: HttpRequest, webhook_id: UUID, delivery_id: int) -> Delivery:
    """Sends a message again, as a new message with the same content."""
    return webhooks.send_again(Actor.of(request), webhook_id, delivery_id)
