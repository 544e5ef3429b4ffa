"""Every route of the console against every role, derived from the resolver: none can be forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, reverse

from images.models import BaseImage, ManagedImage
from images.operations import removal
from tests import factories
from tests.cast import Cast
from tests.routes import ROUTES, arguments_of
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.models import User

UNGUARDED = object()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.name))
def test_every_route_says_whom_it_is_for(route: URLPattern) -> None:
    assert getattr(route.callback, "needs", UNGUARDED) is not UNGUARDED
    assert getattr(route.callback, "needs_to_post", UNGUARDED) is not UNGUARDED


def test_every_action_has_a_rule() -> None:
    assert set(TABLE) == set(Action)


def concerns_owners(route: URLPattern) -> bool:
    action: Action | None = getattr(route.callback, "needs", None)
    return action is not None and TABLE[action].creator


# Where owners count, whose the image is: (creator, workspace it was created in) as the cast names them.
OWNERS = [
    (None, None), (None, "workspace"), ("viewer", "workspace"), ("member", "other"), ("stranger", None),
]  # fmt: skip
TRIED = [
    (route, owner)
    for route in ROUTES
    for owner in (OWNERS if concerns_owners(route) else OWNERS[:1])
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("route", "owner"), TRIED, ids=[f"{route.name}-{c}-{w}" for route, (c, w) in TRIED]
)
def test_each_role_gets_what_the_table_says(
    route: URLPattern,
    owner: tuple[str | None, str | None],
    method: str,
    cast: Cast,
    base: BaseImage,
) -> None:
    creator, created_in = (getattr(cast, name) if name else None for name in owner)
    image = factories.make_image("present", base=base, created_by=creator, created_in=created_in)
    if route.name in ("restore_image", "delete_image"):
        removal.remove_image(Actor(cast.admin), "present")
    needs = "needs" if method == "GET" else "needs_to_post"
    action: Action | None = getattr(route.callback, needs)
    people: list[User | None] = [
        None, cast.admin, cast.support, cast.manager, cast.member, cast.viewer, cast.stranger,
    ]  # fmt: skip
    for person in people:
        with transaction.atomic():
            arguments = arguments_of(route, cast, person, image)
            url = reverse(str(route.name), kwargs=arguments)
            client = signed_in(cast, person, action)
            answer = client.get(url) if method == "GET" else client.post(url, {"build": "1"})
            transaction.set_rollback(True)
        if answer.status_code != 405:
            told = expected(cast, person, action, "workspace_id" in arguments, image)
            assert outcome(answer) in told, (url, person)


def signed_in(cast: Cast, person: User | None, action: Action | None) -> Client:
    if person is None or action != Action.MANAGE_OWN_ACCOUNT:
        return cast.client(person)
    TOTP.activate(person, "SECRET")
    RecoveryCodes.activate(person)
    return cast.confirmed_client(person)


def outcome(answer: Any) -> str:
    """`sign in`, `hidden`, `refused`, or whatever else the page says to somebody who may open it."""
    if answer.status_code == 302 and answer["Location"].startswith("/signin?next="):
        return "sign in"
    assert answer.status_code < 500
    return {403: "refused", 404: "hidden"}.get(answer.status_code, "let in")


def expected(
    cast: Cast,
    person: User | None,
    action: Action | None,
    in_workspace: bool,
    image: ManagedImage,
) -> tuple[str, ...]:
    if action is None:
        # Public; "nowhere" is no identity provider that is configured.
        return ("let in", "hidden")
    if person is None:
        return ("sign in",)
    actor = Actor(person)
    if in_workspace and not allows(actor, Action.SEE_WORKSPACE, cast.workspace):
        return ("hidden",)
    workspace = cast.workspace if in_workspace else None
    allowed = allows(actor, action, image if TABLE[action].creator else workspace)
    return ("let in",) if allowed else ("refused",)


def test_a_guarded_page_sends_the_reader_to_sign_in_and_back(cast: Cast) -> None:
    url = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    assert cast.client(None).get(url)["Location"] == f"/signin?next={url}"
