"""Every route of the console against every role, derived from the resolver: none can be forgotten."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from itertools import product
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, reverse

from images.models import BaseImage, ManagedImage
from images.operations import removal
from images.operations.ml_models import MODEL
from images.queries.images import IMAGE
from images.queries.jobs import JOB
from tests import factories
from tests.api.endpoints import ENDPOINTS
from tests.cast import Cast
from tests.routes import ROUTES, arguments_of
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.api.guard import guarded
from workspaces.guard import needs
from workspaces.models import User

UNGUARDED = object()


def test_every_route_says_whom_it_is_for() -> None:
    for route in ROUTES:
        assert getattr(route.callback, "needs", UNGUARDED) is not UNGUARDED, route.name
        assert getattr(route.callback, "needs_to_post", UNGUARDED) is not UNGUARDED, route.name


def test_every_action_has_a_rule() -> None:
    assert set(TABLE) == set(Action)


def forgotten(parameters: Iterable[str], view: Any) -> str:
    """The parameter of a URL whose object the view's guard does not look up; empty if it does.

    An image, or the job that builds it, has to be looked up where its owners count. What any account may see,
    and the removal of images by administrators, goes by the name.
    """
    of, action = getattr(view, "of", None), getattr(view, "needs", None)
    if "model_id" in parameters:
        return "" if of is MODEL else "model_id"
    for parameter, place in (("name", IMAGE), ("job_id", JOB)):
        if parameter in parameters and action is not None and TABLE[action].creator:
            return "" if of is place else parameter
    return "" if of is None else of.parameter


def test_every_route_says_of_what_it_asks() -> None:
    for route in ROUTES:
        assert not forgotten(route.pattern.converters, route.callback), route.name


def test_every_endpoint_says_of_what_it_asks() -> None:
    for method, path, view in ENDPOINTS:
        assert not forgotten(re.findall(r"{(\w+)}", path), view), (method, path)


def page(request: HttpRequest, **arguments: Any) -> HttpResponse:
    return HttpResponse()


@pytest.mark.parametrize("guard", [needs, guarded])
def test_a_route_that_forgets_its_model_is_found(guard: Callable[..., Any]) -> None:
    assert forgotten(["workspace_id", "model_id"], guard(Action.SEE_MODELS)(page)) == "model_id"
    assert not forgotten(["workspace_id", "model_id"], guard(Action.SEE_MODELS, of=MODEL)(page))
    assert forgotten(["workspace_id"], guard(Action.SEE_MODELS, of=MODEL)(page)) == "model_id"


@pytest.mark.parametrize("guard", [needs, guarded])
@pytest.mark.parametrize(
    "action",
    [action for action in Action if TABLE[action].creator],
    ids=lambda action: action.value,
)
def test_an_action_of_owners_cannot_forget_its_image(
    guard: Callable[..., Any], action: Action
) -> None:
    """The roles in the URL's workspace would decide about an image of another workspace."""
    for of in (None, MODEL):
        with pytest.raises(TypeError, match="owners"):
            guard(action, of=of)
    assert not forgotten(["workspace_id", "name"], guard(action, of=IMAGE)(page))
    assert not forgotten(["job_id"], guard(action, of=JOB)(page))


@pytest.mark.parametrize("guard", [needs, guarded])
def test_a_rule_without_owners_takes_nothing_that_has_one(guard: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="owners"):
        guard(Action.SEE_IMAGES, of=IMAGE)


def concerns_owners(route: URLPattern) -> bool:
    action: Action | None = getattr(route.callback, "needs", None)
    return action is not None and TABLE[action].creator


# Where owners count, whose the image is: (creator, workspace it was created in) as the cast names them.
OWNERS = [
    (None, None), (None, "workspace"), ("viewer", "workspace"), ("member", "other"), ("stranger", None),
]  # fmt: skip
METHODS = {"GET": "needs", "POST": "needs_to_post"}


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.name))
def test_each_role_gets_what_the_table_says(route: URLPattern, cast: Cast, base: BaseImage) -> None:
    people: list[User | None] = [
        None, cast.admin, cast.support, cast.manager, cast.member, cast.viewer, cast.stranger,
    ]  # fmt: skip
    actions: dict[str, Action | None] = {
        method: getattr(route.callback, needs) for method, needs in METHODS.items()
    }
    # Signing in takes longer than a page, so everybody does it once.
    sessions = {
        (person, action): signed_in(cast, person, action).cookies
        for action in set(actions.values())
        for person in people
    }
    client = Client()
    for owner in OWNERS if concerns_owners(route) else OWNERS[:1]:
        with undone():
            image = image_of(route, cast, base, owner)
            for (method, action), person in product(actions.items(), people):
                with undone():
                    arguments = arguments_of(route, cast, person, image)
                    url = reverse(str(route.name), kwargs=arguments)
                    client.cookies = SimpleCookie()
                    client.cookies.update(sessions[person, action])
                    answer = (
                        client.get(url) if method == "GET" else client.post(url, {"build": "1"})
                    )
                if answer.status_code != 405:
                    told = expected(cast, person, action, "workspace_id" in arguments, image)
                    assert outcome(answer) in told, (method, url, str(person), owner)


@contextmanager
def undone() -> Iterator[None]:
    """Whatever the block changes in the database is as it was before."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def image_of(
    route: URLPattern, cast: Cast, base: BaseImage, owner: tuple[str | None, str | None]
) -> ManagedImage:
    """Somebody's image, removed where the route is for what was removed."""
    creator, created_in = (getattr(cast, name) if name else None for name in owner)
    image = factories.make_image("present", base=base, created_by=creator, created_in=created_in)
    if route.name in ("restore_image", "delete_image"):
        removal.remove_image(Actor(cast.admin), "present")
    return image


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
