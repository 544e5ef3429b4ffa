"""Every route of the console against every role, derived from the resolver: none can be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from images.models import BaseImage
from tests import factories
from tests.conftest import Cast
from workspaces import tokens
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.models import User

UNGUARDED = object()


def console_routes(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            # Django guards its admin's own routes; the test below looks at them.
            # The API's have no names; tests/test_api_matrix.py looks at them.
            if pattern.namespace not in ("admin", "api"):
                yield from console_routes(pattern.url_patterns)
        else:
            yield pattern


ROUTES = list(console_routes(get_resolver().url_patterns))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.name))
def test_every_route_says_whom_it_is_for(route: URLPattern) -> None:
    assert getattr(route.callback, "needs", UNGUARDED) is not UNGUARDED


def test_every_action_has_a_rule() -> None:
    assert set(TABLE) == set(Action)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.name))
def test_each_role_gets_what_the_table_says(route: URLPattern, cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("present", base=base)
    arguments: dict[str, object] = {}
    if "workspace_id" in str(route.pattern):
        arguments["workspace_id"] = cast.workspace.pk
    if "<str:name>" in str(route.pattern):
        arguments["name"] = "present"
    if "user_id" in str(route.pattern):
        arguments["user_id"] = cast.member.pk
    if "uidb64" in str(route.pattern):
        arguments |= {"uidb64": "MQ", "token": "none"}
    if "<uuid:token_id>" in str(route.pattern):
        arguments["token_id"] = tokens.create_token(
            Actor(cast.member), cast.workspace, "present"
        ).token.pk
    if "model_id" in str(route.pattern):
        arguments["model_id"] = factories.make_model(cast.workspace, image=image).pk
    if "assignment_id" in str(route.pattern):
        arguments["assignment_id"] = 1
    if "alteration_id" in str(route.pattern):
        arguments["alteration_id"] = factories.make_alteration(image).pk
    for parameter in ("provider_id", "organization_slug"):
        if parameter in str(route.pattern):
            arguments[parameter] = "nowhere"
    if "<int:pk>" in str(route.pattern):
        arguments["pk"] = 1
    url = reverse(str(route.name), kwargs=arguments)
    people: list[User | None] = [
        None, cast.admin, cast.support, cast.manager, cast.member, cast.viewer, cast.stranger,
    ]  # fmt: skip
    for person in people:
        if person is not None and route.callback.needs == Action.MANAGE_OWN_ACCOUNT:  # type: ignore[attr-defined]
            TOTP.activate(person, "SECRET")
            RecoveryCodes.activate(person)
        answer = cast.client(person).get(url)
        told = expected(cast, person, route, "workspace_id" in arguments, answer)
        assert answer.status_code == told, (url, person)


def expected(
    cast: Cast, person: User | None, route: URLPattern, in_workspace: bool, answer: Any
) -> int:
    action: Action | None = getattr(route.callback, "needs", None)
    status: int = answer.status_code
    if action is None:
        return status
    if person is None:
        assert answer["Location"].startswith("/signin?next=")
        return 302
    if action == Action.MANAGE_OWN_ACCOUNT and status == 302:
        # What protects an account is asked for once more before it is shown or changed.
        assert answer["Location"].startswith(("/account/confirm", "/account/security"))
        return 302
    outside = person == cast.stranger
    if in_workspace and outside:
        return 404
    if not allows(person, action, cast.workspace if in_workspace else None):
        return 403
    if route.name == "revoke_token" and not (
        person == cast.member or allows(person, Action.MANAGE_TOKENS, cast.workspace)
    ):
        return 404  # Somebody else's token is none of theirs.
    # Allowed: the page, or 405 for a route that only takes POST.
    return status if status in (200, 405) else 200


def test_a_guarded_page_sends_the_reader_to_sign_in_and_back(cast: Cast) -> None:
    url = reverse("images", kwargs={"workspace_id": cast.workspace.pk})
    assert cast.client(None).get(url)["Location"] == f"/signin?next={url}"


def test_the_admin_is_for_staff_only(cast: Cast) -> None:
    assert cast.client(cast.member).get("/django-admin/").status_code == 302
    assert cast.client(None).get("/django-admin/images/managedimage/").status_code == 302
