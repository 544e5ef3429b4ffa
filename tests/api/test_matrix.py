"""Every endpoint against every role, derived from the API's own routes: none can be forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from images.models import BaseImage, ManagedImage
from tests import factories
from tests.api.endpoints import ENDPOINTS
from tests.cast import Cast
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.models import User, WorkspaceRole

pytestmark = pytest.mark.slow

VIEWS = {view.__name__ for _, _, view in ENDPOINTS}


def test_the_resolver_knows_no_other_endpoint() -> None:
    resolver = next(
        item
        for item in get_resolver().url_patterns
        if isinstance(item, URLResolver) and item.namespace == "api"
    )
    routed = [p for p in resolver.url_patterns if isinstance(p, URLPattern)]
    named = {str(route.name): route for route in routed if str(route.name) not in VIEWS}
    ours = {str(route.pattern) for route in routed if str(route.name) in VIEWS}
    assert len(ours) == len({path for _, path, _ in ENDPOINTS})
    # What is left is the framework's own: the description for anybody to read, and a root with nothing on it.
    assert set(named) == {"openapi-json", "openapi-view", "api-root"}
    for name in ("openapi-json", "openapi-view"):
        assert Client().get(reverse(f"api:{name}")).status_code == 200


# What is asked of each endpoint: a body that fits, and one that cannot even be parsed. Where owners count,
# of an image of the tokens' workspace and of one that was created elsewhere.
TRIED = [
    (method, path, view, shape, created_in)
    for method, path, view in ENDPOINTS
    for shape in ("fitting", "unreadable")
    for created_in in (("workspace", "elsewhere") if TABLE[view.needs].creator else ("workspace",))
]


@pytest.mark.parametrize(
    ("method", "path", "view", "shape", "created_in"),
    TRIED,
    ids=[f"{method} {path} {shape} {where}" for method, path, _, shape, where in TRIED],
)
def test_each_role_gets_what_the_table_says(
    method: str,
    path: str,
    view: Any,
    shape: str,
    created_in: str,
    cast: Cast,
    base: BaseImage,
    token_for: Callable[[User], str],
) -> None:
    """Whatever the body is: who may not act is not told what is wrong with it."""
    somebody = factories.make_user("somebody")
    elsewhere = factories.make_workspace(
        "Elsewhere", stranger=(cast.stranger, WorkspaceRole.ADMINISTRATOR)
    )
    address, body = path, ""
    for person in (cast.stranger, cast.viewer, cast.member, cast.manager, cast.support, cast.admin):
        with transaction.atomic():
            image = factories.make_image(
                f"for-{person.username}",
                base=base,
                created_by=person,
                created_in=cast.workspace if created_in == "workspace" else elsewhere,
            )
            secret = token_for(person)
            address = path.format(
                name=image.name,
                number=1,
                workspace_id=cast.workspace.pk,
                token_id=UUID(int=0),
                webhook_id=UUID(int=0),
                user_id=somebody.pk,
                delivery_id=1,
                model_id=factories.make_model(cast.workspace, image=image).pk,
                assignment_id=1,
                customer_name="instance",
                limit="LICENSE_LIMIT_EXPIRATION",
                feature="LICENSE_FEATURE_FIREWALL",
                job_id=image.builds.get().pk,
                alteration_id=factories.make_alteration(image).pk,
                channel="stable",
            )
            if path == "/v1/images:compare":
                address += f"?left={image.name}&right={image.name}"
            fitting = {
                "name": f"Of {person.username}",
                "timeZone": "UTC",
                "url": "https://example.org/",
                "userName": f"by-{person.username}",
                "userIds": [somebody.pk],
                "role": "viewer" if "workspace" in path else "basic",
                "managedImageName": image.name,
                "importPolicy": "refuse",
                "runTimeInfo": {"customImage": {"managedImageName": image.name}},
            }
            body = json.dumps(fitting) if shape == "fitting" else "{"
            told = expected(cast, person, view.needs, path, image)
            assert asked(secret, method, address, body) in told, (address, person)
            transaction.set_rollback(True)
    # Of nobody, or of somebody who says wrongly who they are, nothing is read either.
    assert asked("", method, address, body) == 401
    assert asked("ri_wrong", method, address, body) == 401


def asked(secret: str, method: str, address: str, body: str) -> int:
    answer = Client().generic(
        method, address, body, content_type="application/json", headers={"rime-api-key": secret}
    )
    return answer.status_code


def expected(
    cast: Cast, person: User, action: Action, path: str, image: ManagedImage
) -> tuple[int, ...]:
    """What the table says of a token of the person's; the stranger has one of another workspace."""
    token = person.tokens.select_related("workspace").get()
    in_workspace = "{workspace_id}" in path or "{model_id}" in path
    if in_workspace and token.workspace != cast.workspace:
        return (404,)
    actor = Actor(person, token=token)
    subject = image if TABLE[action].creator else token.workspace
    return (200, 400, 404, 409) if allows(actor, action, subject) else (403,)


def test_what_no_uuid_can_be_is_not_found(cast: Cast, token_for: Callable[[User], str]) -> None:
    secret = token_for(cast.viewer)
    for path in ("/v1/workspace/nothing", "/v1/models/nothing/image"):
        assert asked(secret, "GET", path, "") == 404
