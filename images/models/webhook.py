"""Webhooks: addresses outside that want to know what happens to images, and each message to them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from images.models.lease import Lease, LeaseQuerySet, WorkState, lease_constraints
from workspaces.models import User

if TYPE_CHECKING:
    from django_stubs_ext.db.models.manager import RelatedManager


class ImageEvent(models.TextChoices):
    """An event in the life of an image; the value is the message's type."""

    READY = "image.ready", "Ready"
    FAILED = "image.failed", "Failed"
    REMOVED = "image.removed", "Removed"
    RESTORED = "image.restored", "Restored"
    OUTDATED = "image.outdated", "Outdated"
    DRIFTED = "image.drifted", "Not in the registry as recorded"
    HEALED = "image.healed", "In the registry again"
    IMPORT_CHECKED = "image.import_checked", "Imports tried"


class Webhook(models.Model):
    """An address of this instance's. `secret` signs its messages, so it has to be kept as it is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.URLField(max_length=2000)
    events = ArrayField(models.CharField(max_length=32, choices=ImageEvent.choices))
    secret = models.CharField(max_length=100)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    deliveries: RelatedManager[Delivery]

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(events__contained_by=list(ImageEvent.values)) & ~Q(events=[]),
                name="webhook_events_are_known",
            )
        ]

    def __str__(self) -> str:
        return self.url


class DeliveryQuerySet(LeaseQuerySet["Delivery"]):
    pass


class Delivery(Lease):
    """A message to one webhook: kept until it arrived or was given up, and a while longer to be looked at."""

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=32, choices=ImageEvent.choices)
    payload = models.JSONField()
    response_status = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "deliveries"
        constraints = lease_constraints("delivery")
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(state__in=["queued", "running"]),
                name="delivery_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook}"

    @property
    def next_attempt_at(self) -> datetime | None:
        """When it is sent again; None if it was not sent yet, is under way, or has ended."""
        return self.due_at if self.state == WorkState.QUEUED and self.attempts else None
