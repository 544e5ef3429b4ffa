"""Every route of the console against every role, derived from the resolver: none can be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from images.models import AssignmentState, BaseImage, MLModel
from tests import factories
from tests.conftest import Cast
from workspaces import tokens
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.models import User

UNGUARDED = object()


def console_routes(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            # tests/test_admin_matrix.py has those of the admin, tests/api/test_matrix.py those of the API.
            if pattern.namespace not in ("admin", "api"):
                yield from console_routes(pattern.url_patterns)
        else:
            yield pattern


ROUTES = list(console_routes(get_resolver().url_patterns))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.name))
def test_every_route_says_whom_it_is_for(route: URLPattern) -> None:
    assert getattr(route.callback, "needs", UNGUARDED) is not UNGUARDED
    assert getattr(route.callback, "needs_to_post", UNGUARDED) is not UNGUARDED


def test_every_action_has_a_rule() -> None:
    assert set(TABLE) == set(Action)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.name))
def test_each_role_gets_what_the_table_says(
    route: URLPattern, method: str, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("present", base=base)
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
            told = expected(cast, person, action, "workspace_id" in arguments)
            assert outcome(answer) in told, (url, person)


def arguments_of(
    route: URLPattern, cast: Cast, person: User | None, image: Any
) -> dict[str, object]:
    """What the URL names is there; tokens and passkeys are the person's own, where they may have any."""
    model = cache(lambda: factories.make_model(cast.workspace, image=image))
    makers: dict[str, Any] = {
        "workspace_id": lambda: cast.workspace.pk,
        "name": lambda: image.name,
        "user_id": lambda: cast.member.pk,
        "uidb64": lambda: "MQ",
        "token": lambda: "none",
        "token_id": lambda: token_of(cast, person),
        "alteration_id": lambda: factories.make_alteration(image).pk,
        "model_id": lambda: model().pk,
        "assignment_id": lambda: past_assignment_of(model()),
        "provider_id": lambda: "nowhere",
        "organization_slug": lambda: "nowhere",
        "pk": lambda: passkey_of(person or cast.member),
    }
    return {name: makers[name]() for name in route.pattern.converters}


def token_of(cast: Cast, person: User | None) -> object:
    has = person if person and allows(person, Action.CREATE_TOKEN, cast.workspace) else cast.member
    return tokens.create_token(Actor(has), cast.workspace, "present").token.pk


def past_assignment_of(model: MLModel) -> int:
    now = timezone.now()
    ran_on = {"external_reference": "example.org/model:1", "began_at": now, "ended_at": now}
    return int(model.assignments.create(state=AssignmentState.PAST, **ran_on).pk)


def passkey_of(person: User) -> int:
    data = {"name": "Laptop", "credential": {}}
    made = Authenticator.objects.create(user=person, type=Authenticator.Type.WEBAUTHN, data=data)
    return int(made.pk)


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
    cast: Cast, person: User | None, action: Action | None, in_workspace: bool
) -> tuple[str, ...]:
    if action is None:
        # Public; "nowhere" is no identity provider that is configured.
        return ("let in", "hidden")
    if person is None:
        return ("sign in",)
    if in_workspace and not allows(person, Action.SEE_WORKSPACE, cast.workspace):
        return ("hidden",)
    allowed = allows(person, action, cast.workspace if in_workspace else None)
    return ("let in",) if allowed else ("refused",)


def test_a_guarded_page_sends_the_reader_to_sign_in_and_back(cast: Cast) -> None:
    url = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    assert cast.client(None).get(url)["Location"] == f"/signin?next={url}"
