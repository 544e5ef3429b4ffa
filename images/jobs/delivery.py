"""Bringing messages to webhooks: signed, to public addresses only, tried again with growing pauses."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import ssl
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import httpcore
from django.conf import settings
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Signer

from images.errors import DeliveryFailed, WorkerDied
from images.jobs.leased import refuse_deadly
from images.models import Delivery
from images.models.lease import LeaseLost, error_columns
from images.operations.webhooks import is_public

# Seconds before each further attempt; after the last one a message is given up.
PAUSES = (5, 30, 120, 600, 3600, 21_600)
# For one step, such as the next bytes, and for the whole: an address that sends a little at a time must not
# hold the one worker, which sends people's mail, too. The lease is longer than both.
TIMEOUT, DELIVERY_SECONDS = 10.0, 30.0
LEASE_SECONDS = 60.0
USER_AGENT = "ri-platform-webhooks"

logger = logging.getLogger(__name__)


def deliver(delivery_id: int) -> None:
    """Claim a message and try to bring it to its webhook; what fails is due again later."""
    delivery = Delivery.objects.claim(delivery_id, LEASE_SECONDS)
    if delivery is None:
        return
    try:
        try:
            refuse_deadly(delivery)
            status = post(delivery)
        except DeliveryFailed as error:
            note_failure(delivery, error)
        except WorkerDied as error:
            delivery.fail(error)
        else:
            delivery.succeed(response_status=status)
    except LeaseLost:
        # Another worker has it, or the webhook was removed meanwhile.
        return


def note_failure(delivery: Delivery, error: DeliveryFailed) -> None:
    """Have the message wait for its next attempt, or give it up."""
    if delivery.attempts > len(PAUSES):
        delivery.fail(error, response_status=error.response_status)
    else:
        pause = PAUSES[delivery.attempts - 1]
        delivery.put_back(
            timezone.now() + timedelta(seconds=pause),
            response_status=error.response_status,
            **error_columns(error),
        )
    logger.info("A message to a webhook did not arrive, attempt %s.", delivery.attempts)


def post(delivery: Delivery, seconds: float = DELIVERY_SECONDS) -> int:
    """Send the message; the status of an answer that takes it. Raises `DeliveryFailed`, within `seconds`."""
    body = json.dumps(delivery.payload, separators=(",", ":"))
    identity, now = f"msg_{delivery.pk}", timezone.now()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": identity,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(delivery.webhook.secret).sign(identity, now, body),
    }
    timeouts = {"connect": TIMEOUT, "read": TIMEOUT, "write": TIMEOUT, "pool": TIMEOUT}
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=ssl.create_default_context(), network_backend=PublicNetwork(seconds)
            ) as pool,
            # Its body is not read: nothing in it matters, and it could be endless.
            pool.stream(
                "POST",
                delivery.webhook.url,
                headers=list(headers.items()),
                content=body.encode("utf-8"),
                extensions={"timeout": timeouts},
            ) as answer,
        ):
            status: int = answer.status
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise DeliveryFailed(
            f"The address cannot be reached: {error or type(error).__name__}."
        ) from error
    except (httpcore.UnsupportedProtocol, UnicodeError) as error:
        raise DeliveryFailed(f"The address cannot be used: {type(error).__name__}.") from error
    if not 200 <= status < 300:
        raise DeliveryFailed(f"The address answered {status}.", response_status=status)
    return status


class PublicNetwork(httpcore.NetworkBackend):
    """Connects to public addresses only, and to the very address that was looked at.

    A name is resolved once: asking again for the connection could give another answer by then. What it
    connects ends after `seconds`.
    """

    def __init__(self, seconds: float) -> None:
        self._end = Moment(seconds)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address") from error
        addresses = [str(item[4][0]) for item in found]
        if not settings.WEBHOOKS_ALLOW_PRIVATE:
            addresses = [item for item in addresses if is_public(ipaddress.ip_address(item))]
        if not addresses:
            raise httpcore.ConnectError(f"{host} is a private address, which is not allowed")
        stream = httpcore.SyncBackend().connect_tcp(
            addresses[0], port, self._end.at_most(timeout), local_address, socket_options
        )
        return EndingStream(stream, self._end)


class Moment:
    """The moment at which a delivery is over."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._at = seconds, time.monotonic() + seconds

    def at_most(self, timeout: float | None) -> float:
        """The timeout of a step, shortened to what is left. Raises `ReadTimeout` if nothing is."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(f"it did not answer within {self._seconds:.0f} s")
        return left if timeout is None else min(timeout, left)


class EndingStream(httpcore.NetworkStream):
    """A connection that ends at a moment, however many steps are taken on it."""

    def __init__(self, stream: httpcore.NetworkStream, end: Moment) -> None:
        self._stream, self._end = stream, end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._end.at_most(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._end.at_most(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._end.at_most(timeout)
        return EndingStream(self._stream.start_tls(ssl_context, server_hostname, left), self._end)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
