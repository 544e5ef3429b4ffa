"""Whose an image is, by REST; `tests/images/operations/test_ownership.py` has the other ways in."""

from __future__ import annotations

from typing import Any

import pytest

from images.models import ManagedImage
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.models import User, Workspace


@pytest.fixture
def image(victim: ManagedImage) -> ManagedImage:
    return victim


def snapshot(image: ManagedImage) -> Any:
    row = ManagedImage.objects.get(pk=image.pk)
    builds = list(row.builds.order_by("number").values_list("number", "state"))
    return row.spec, row.status, row.current_build_id, builds


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"pipRequirements": [{"name": "evil"}]}),
        ("PATCH", "", {"allowSource": True}),
        ("POST", ":rebuild", None),
        ("POST", ":cancel", None),
        ("POST", ":rollBack", {"build": 1}),
    ],
)
@pytest.mark.slow
def test_who_does_not_own_it_changes_nothing(
    method: str, path: str, body: Any, ask: Ask, cast: Cast, image: ManagedImage
) -> None:
    before = snapshot(image)
    for person in (cast.viewer, cast.member, cast.manager):
        answer = ask(person, method, f"/v1/images/{image.name}{path}", body)
        assert answer.status_code == 403, person
        assert answer.json()["details"][0]["reason"] == "not_allowed"
    assert snapshot(image) == before


def test_rest_tells_the_owner(ask: Ask, cast: Cast, image: ManagedImage, theirs: Workspace) -> None:
    def owner() -> Any:
        return ask(cast.viewer, "GET", f"/v1/images/{image.name}").json()["image"]["owner"]

    assert owner() == {"user": "owner", "workspace": "Theirs"}
    User.objects.filter(username="owner").update(is_active=False)
    assert owner() == {"workspace": "Theirs"}
    theirs.delete()
    assert owner() == {}
