"""Operations on webhooks, and the messages to them.

A message is a row that is written in the transaction of the change it reports, so it exists if and only if
the change does. `images.jobs.delivery` sends it. Messages follow the Standard Webhooks specification.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.utils import timezone

from images import wake
from images.models import Delivery, ImageEvent, Webhook
from ri_platform.errors import Conflict, DomainError, Invalid, NotFound
from ri_platform.numbers import number_of
from workspaces import audit
from workspaces.access import Action, Actor, require

MAX_WEBHOOKS = 20


def announce(event: ImageEvent, names: Iterable[str], **data: Any) -> None:
    """Tell the webhooks that want to know what happened to images; the caller's transaction."""
    hooks = [hook for hook in Webhook.objects.all() if event in hook.events]
    if not hooks:
        return
    now = timezone.now().isoformat()
    deliveries = Delivery.objects.bulk_create(
        Delivery(
            webhook=hook,
            event=event,
            payload={"type": event.value, "timestamp": now, "data": {"name": name, **data}},
        )
        for name in names
        for hook in hooks
    )
    for delivery in deliveries:
        wake.after_commit(wake.Task.DELIVER, delivery.pk)


def describe_error(error: DomainError) -> dict[str, str]:
    """An error as a message tells it."""
    return {"reason": error.code, "message": error.message, "hint": error.hint}


# --- operations -----------------------------------------------------------------------------------------


def create_webhook(actor: Actor, url: str, events: Sequence[str]) -> Webhook:
    """Have image events sent to an address. Raises `Invalid` for one that cannot be.

    Without events, all are sent. The secret is told in the answer, to check signatures with.
    """
    require(actor, Action.MANAGE_WEBHOOKS)
    refuse_address(url)
    wanted = list(dict.fromkeys(events)) or list(ImageEvent.values)
    if unknown := [event for event in wanted if event not in ImageEvent.values]:
        raise Invalid(
            f"There is no event {unknown[0]!r}.",
            hint=f"Choose from {', '.join(ImageEvent.values)}.",
            field="events",
        )
    with transaction.atomic():
        if Webhook.objects.count() >= MAX_WEBHOOKS:
            raise Conflict(
                f"This instance has {MAX_WEBHOOKS} webhooks, which is the limit.",
                hint="Remove one first.",
            )
        hook = Webhook.objects.create(
            url=url,
            events=wanted,
            secret="whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
            created_by=actor.user,
        )
        record("webhook.created", actor, hook, events=wanted)
    return hook


def remove_webhook(actor: Actor, webhook_id: UUID) -> None:
    """Stop sending to an address; messages under way are dropped."""
    require(actor, Action.MANAGE_WEBHOOKS)
    with transaction.atomic():
        hook = webhook_of(actor, webhook_id)
        record("webhook.removed", actor, hook)
        hook.delete()


def webhook_of(actor: Actor, webhook_id: UUID) -> Webhook:
    """Raises `NotFound`."""
    require(actor, Action.MANAGE_WEBHOOKS)
    hook = Webhook.objects.filter(pk=webhook_id).first()
    if hook is None:
        raise NotFound("There is no such webhook.")
    return hook


def send_again(actor: Actor, webhook_id: UUID, delivery_id: int) -> Delivery:
    """Send a message once more, whether it arrived or not."""
    hook = webhook_of(actor, webhook_id)
    wanted = number_of(delivery_id, 63)
    found = None if wanted is None else hook.deliveries.filter(pk=wanted).first()
    if found is None:
        raise NotFound("There is no such delivery.")
    with transaction.atomic():
        again = Delivery.objects.create(webhook=hook, event=found.event, payload=found.payload)
        record("webhook.sent_again", actor, hook, delivery=found.pk)
        wake.after_commit(wake.Task.DELIVER, again.pk)
    return again


def record(event: str, actor: Actor, hook: Webhook, **details: Any) -> None:
    audit.record(event, actor, object_type="webhook", object_name=hook.url[:255], details=details)


def refuse_address(url: str) -> None:
    """Raise `Invalid` for what is no address to send to. Where a name leads is looked at when sending."""
    try:
        URLValidator(schemes=["https", "http"])(url)
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.username or parts.password or parts.fragment:
            raise ValueError
    except (ValidationError, ValueError) as error:
        raise Invalid(
            "This is not an address that messages can be sent to.",
            hint="Give an http or https URL without a name and a password.",
            field="url",
        ) from error
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        private = host == "localhost"
    else:
        private = not is_public(literal)
    if private and not settings.WEBHOOKS_ALLOW_PRIVATE:
        raise Invalid(
            "This is a private address, and webhooks reach public ones only.",
            hint="An operator can allow it with RI_WEBHOOKS_ALLOW_PRIVATE.",
            field="url",
        )


# Addresses that lead to no host of the internet, though Python's `is_global` holds for them: deprecated
# site-local (RFC 3879), IPv4-compatible (RFC 4291, 2.5.5.1), local NAT64 (RFC 8215), and what is assigned to
# protocols (RFC 6890), of which some clouds answer one from inside a machine.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in ("fec0::/10", "::/96", "64:ff9b:1::/48", "192.0.0.0/24", "192.88.99.0/24")
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """False also for an IPv6 address that carries a private IPv4 one (RFC 4291, 6052, 3056, 4380)."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            carried.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(is_public(inner) for inner in carried if inner is not None):
            return False
        if address.ipv4_mapped:
            return True
    return (
        address.is_global
        and not address.is_multicast
        and not any(
            address in network for network in NOT_PUBLIC if network.version == address.version
        )
    )
