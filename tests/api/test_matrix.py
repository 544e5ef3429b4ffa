"""Every endpoint against every role, derived from the API's own routes: none can be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from images.models import BaseImage
from ri_platform.urls import api
from tests import factories
from tests.api.conftest import Ask
from tests.conftest import Cast
from workspaces.access import Action, allows
from workspaces.models import WorkspaceRole


def endpoints() -> Iterator[tuple[str, str, Any]]:
    """(method, path with parameters in braces, view) of all there are."""
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                for method in operation.methods:
                    yield method, f"{prefix}{path}", operation.view_func


ENDPOINTS = list(endpoints())
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


@pytest.mark.parametrize(
    ("method", "path", "view"), ENDPOINTS, ids=[f"{m} {p}" for m, p, _ in ENDPOINTS]
)
def test_each_role_gets_what_the_table_says(
    method: str, path: str, view: Any, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    action: Action = view.needs
    in_workspace = "{workspace_id}" in path or "{model_id}" in path
    somebody = factories.make_user("somebody")
    factories.make_workspace("Elsewhere", stranger=(cast.stranger, WorkspaceRole.ADMINISTRATOR))
    # Administrators last, as what they do may leave nothing for the others.
    for person in (cast.stranger, cast.viewer, cast.member, cast.manager, cast.support, cast.admin):
        image = factories.make_image(f"for-{person.username}", base=base)
        address = path.format(
            name=f"for-{person.username}",
            number=1,
            # The tokens are of the first, and end with it.
            workspace_id=(cast.other if method == "DELETE" else cast.workspace).pk,
            token_id=UUID(int=0),
            webhook_id=UUID(int=0),
            user_id=somebody.pk,
            delivery_id=1,
            model_id=factories.make_model(cast.workspace, image=image).pk,
            assignment_id=1,
            customer_name="instance",
            limit="LICENSE_LIMIT_EXPIRATION",
            alteration_id=factories.make_alteration(image).pk,
        )
        if path == "/v1/images:compare":
            address += f"?left={image.name}&right={image.name}"
        # The shape is looked at before the role.
        body = {
            "name": f"Of {person.username}",
            "timeZone": "UTC",
            "url": "https://example.org/",
            "userName": f"by-{person.username}",
            "userIds": [somebody.pk],
            "role": "viewer" if "workspace" in path else "basic",
            "managedImageName": image.name,
            "runTimeInfo": {"customImage": {"managedImageName": image.name}},
        }
        status = ask(person, method, address, body).status_code
        if in_workspace and person == cast.stranger:
            assert status == 404, (address, person)
        elif allows(person, action, cast.workspace if in_workspace else None):
            assert status in (200, 400, 404, 409), (address, person)
        else:
            assert status == 403, (address, person)
    assert ask(None, method, address, {}).status_code == 401
