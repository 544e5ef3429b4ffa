"""Webhooks: told of what happens to images, signed, tried again, never sent into a private network."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Verifier

from images import wake
from images.errors import DeliveryFailed, NoWheel
from images.jobs import build_outcome, sweep, upgrades
from images.jobs import delivery as delivering
from images.jobs.journal import Journal
from images.models import BaseImage, Build, Delivery, ImageEvent, Status
from images.models.lease import WorkState
from images.operations import removal, webhooks
from ri_platform.errors import Invalid, NotAllowed
from tests import factories
from tests.cast import Cast
from tests.http_server import QuietHandler, address_of, serving
from workspaces.access import Actor
from workspaces.models import AuditEvent


@dataclass
class Receiver:
    """A program that takes messages: what it was sent, and what it answers next."""

    url: str
    status: int = 204
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOKS_ALLOW_PRIVATE = True

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((dict(self.headers), body))
            self.send_response(found.status)
            if found.status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

    with serving(Handler) as server:
        found = Receiver(f"{address_of(server)}/hook")
        yield found


@pytest.mark.slow
def test_a_message_is_signed_so_that_the_receiver_can_tell(
    receiver: Receiver, cast: Cast, base: BaseImage
) -> None:
    hook = webhooks.create_webhook(Actor(cast.admin), receiver.url, [])
    factories.make_image("churn", base=base)
    removal.remove_image(Actor(cast.admin), "churn")
    delivering.deliver(Delivery.objects.get().pk)
    ((headers, body),) = receiver.got
    message = Verifier(hook.secret).verify(body, headers)
    assert message["type"] == "image.removed"
    assert message["data"] == {"name": "churn"}
    sent = Delivery.objects.get()
    assert (sent.state, sent.response_status, sent.attempts) == (WorkState.SUCCEEDED, 204, 1)
    delivering.deliver(sent.pk)
    assert len(receiver.got) == 1


def running(base: BaseImage) -> Build:
    image = factories.make_image("churn", base=base, status=Status.BUILDING_FIRST_TIME)
    build = Build.objects.claim(image.builds.get().pk, 60)
    assert build is not None
    return build


@pytest.mark.slow
def test_each_event_is_told_in_its_own_transaction(
    receiver: Receiver, cast: Cast, base: BaseImage
) -> None:
    webhooks.create_webhook(Actor(cast.admin), receiver.url, ["image.failed", "image.outdated"])
    webhooks.create_webhook(Actor(cast.admin), receiver.url, ["image.ready"])
    build = running(base)
    build_outcome.fail(
        build, NoWheel("docopt has no wheel.", hint="Choose another."), Journal(build)
    )
    failed = Delivery.objects.get()
    assert failed.payload["data"] == {
        "name": "churn",
        "build": 1,
        "error": {
            "reason": "no_wheel",
            "message": "docopt has no wheel.",
            "hint": "Choose another.",
        },
    }
    Build.objects.update(
        state=WorkState.RUNNING, lease_expires_at=timezone.now() + timedelta(seconds=60)
    )
    build.write(lock="x")
    digest = factories.digest("churn")
    product = build_outcome.Product(digest, digest, 1, 1, [], [])
    build_outcome.succeed(build, product, Journal(build))
    ready = Delivery.objects.get(event=ImageEvent.READY)
    assert ready.payload["data"]["digest"] == digest
    BaseImage.objects.update(is_current=False)
    upgrades.mark_outdated(factories.make_base_image())
    assert Delivery.objects.get(event=ImageEvent.OUTDATED).payload["data"]["name"] == "churn"


@pytest.mark.slow
@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_not_taken_is_tried_again_later_and_given_up_in_the_end(
    status: int,
    receiver: Receiver,
    cast: Cast,
    base: BaseImage,
    sent: list[tuple[wake.Task, int]],
) -> None:
    webhooks.create_webhook(Actor(cast.admin), receiver.url, [])
    factories.make_image("churn", base=base)
    removal.remove_image(Actor(cast.admin), "churn")
    receiver.status = status
    pk = Delivery.objects.get().pk
    pauses = []
    for _ in range(len(delivering.PAUSES)):
        delivering.deliver(pk)
        waiting = Delivery.objects.get()
        assert (waiting.state, waiting.response_status) == (WorkState.QUEUED, status)
        pauses.append(round((waiting.due_at - timezone.now()).total_seconds()))
    assert pauses == list(delivering.PAUSES)
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    sweep.sweep()
    assert (wake.Task.DELIVER, pk) in sent
    delivering.deliver(pk)
    given_up = Delivery.objects.get()
    assert (given_up.state, given_up.error_message) == (
        WorkState.FAILED,
        f"The address answered {status}.",
    )


def test_a_webhook_removed_while_its_message_is_under_way_is_no_error(
    receiver: Receiver, cast: Cast, base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = webhooks.create_webhook(Actor(cast.admin), receiver.url, [])
    factories.make_image("churn", base=base)
    removal.remove_image(Actor(cast.admin), "churn")

    def post_and_lose(delivery: Delivery) -> int:
        webhooks.remove_webhook(Actor(cast.admin), hook.pk)
        return 204

    monkeypatch.setattr(delivering, "post", post_and_lose)
    delivering.deliver(Delivery.objects.get().pk)
    assert not Delivery.objects.exists()


@pytest.mark.slow
def test_an_address_that_does_not_answer_is_told(
    cast: Cast, base: BaseImage, settings: Any
) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    webhooks.create_webhook(Actor(cast.admin), "http://127.0.0.1:9/", [])
    factories.make_image("churn", base=base)
    removal.remove_image(Actor(cast.admin), "churn")
    delivering.deliver(Delivery.objects.get().pk)
    assert "cannot be reached" in Delivery.objects.get().error_message


DRIP = [b"X-More: ", *[b"x"] * 200, b"\r\n"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "drops",
    [[b"HTTP/1.1 204 No Content\r\n", *DRIP], [b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 200],
    ids=["a header", "hints"],
)
def test_an_address_that_answers_a_little_at_a_time_is_given_up(
    cast: Cast, base: BaseImage, settings: Any, drops: list[bytes]
) -> None:
    """However little it is: each drop comes long before the time of one step is over."""
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    left = threading.Event()

    class Dripping(QuietHandler):
        def do_POST(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                for drop in drops:
                    self.wfile.write(drop)
                    if left.wait(0.05):
                        return
                self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    with serving(Dripping) as server:
        webhooks.create_webhook(Actor(cast.admin), address_of(server), [])
        factories.make_image("churn", base=base)
        removal.remove_image(Actor(cast.admin), "churn")
        with pytest.raises(DeliveryFailed, match=r"timed out|did not answer within 1 s"):
            delivering.post(Delivery.objects.get(), seconds=1)
        left.set()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "https://10.0.0.1/", "http://169.254.169.254/x",
        "http://[::1]/", "http://[::ffff:10.0.0.1]/", "ftp://example.org/", "https://a:b@example.org/",
        "not a url", "https://", "http://0x7f.1:99999/", "http://[64:ff9b:1::a00:1]/",
        "http://[64:ff9b::a00:1]/", "http://[::a00:1]/", "http://[fec0::1]/", "http://192.0.0.192/",
        "http://[2002:a00:1::1]/", "http://[ff0e::1]/", "http://[::]/", "http://0.0.0.0/",
        "http://[fe80::1]/", "http://100.64.0.1/", "http://192.88.99.1/",
    ],
)  # fmt: skip
def test_an_address_that_is_private_or_none_is_refused(url: str, cast: Cast) -> None:
    with pytest.raises(Invalid):
        webhooks.create_webhook(Actor(cast.admin), url, [])


@pytest.mark.parametrize(
    "url", ["https://1.1.1.1/", "https://[2606:4700::1111]/", "https://[::ffff:1.1.1.1]/x"]
)
def test_a_public_address_is_taken(url: str, cast: Cast) -> None:
    webhooks.create_webhook(Actor(cast.admin), url, [])


@pytest.mark.slow
def test_a_name_that_leads_into_a_private_network_is_refused_when_sending(
    cast: Cast, base: BaseImage, receiver: Receiver, settings: Any
) -> None:
    port = receiver.url.split(":")[2].partition("/")[0]
    webhooks.create_webhook(Actor(cast.admin), f"http://localhost:{port}/hook", [])
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    factories.make_image("churn", base=base)
    removal.remove_image(Actor(cast.admin), "churn")
    delivering.deliver(Delivery.objects.get().pk)
    assert "localhost is a private address" in Delivery.objects.get().error_message
    assert receiver.got == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("10.1.2.3", False), ("100.64.0.1", False),
        ("224.0.0.1", False), ("fe80::1", False), ("::ffff:192.168.0.1", False),
        ("64:ff9b::a00:1", False), ("2002:a00:1::", False), ("0.0.0.0", False),  # noqa: S104 - no binding
    ],
)  # fmt: skip
def test_what_counts_as_public(address: str, public: bool) -> None:
    assert webhooks.is_public(ip_address(address)) is public


def test_only_organization_administrators_manage_them(cast: Cast) -> None:
    hook = webhooks.create_webhook(Actor(cast.support), "https://example.org/hook", [])
    for person in (cast.manager, cast.member):
        with pytest.raises(NotAllowed):
            webhooks.create_webhook(Actor(person), "https://example.org/", [])
        with pytest.raises(NotAllowed):
            webhooks.remove_webhook(Actor(person), hook.pk)
    webhooks.remove_webhook(Actor(cast.admin), hook.pk)
    events = AuditEvent.objects.filter(object_type="webhook").values_list("event", flat=True)
    assert set(events) == {"webhook.created", "webhook.removed"}
    assert hook.secret not in json.dumps(list(AuditEvent.objects.values("details")))
