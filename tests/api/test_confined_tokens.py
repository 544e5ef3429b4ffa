"""An API access token is confined to its workspace, makes no tokens, and a viewer's changes nothing."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from images.models import BaseImage, ManagedImage, MLModel
from ri_platform.errors import NotAllowed
from tests import factories
from tests.cast import Cast
from workspaces.access import Action, Actor, allows
from workspaces.models import ApiToken, AuditEvent, InstanceRole, Membership, User, WorkspaceRole
from workspaces.operations import tokens


def asked(secret: str, method: str, path: str, body: Any = None) -> Any:
    return Client().generic(
        method,
        path,
        data="" if body is None else json.dumps(body),
        content_type="application/json",
        headers={"rime-api-key": secret},
    )


@pytest.fixture
def elsewhere(cast: Cast) -> MLModel:
    """A model of Workspace 2, where the cast has the same roles as in Workspace 1."""
    return factories.make_model(cast.other)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["member", "manager", "support", "admin"])
def test_a_token_neither_sees_nor_changes_another_workspace(
    who: str, cast: Cast, elsewhere: MLModel, base: BaseImage
) -> None:
    user: User = getattr(cast, who)
    secret = tokens.create_token(Actor(user), cast.workspace, "a").secret
    there = tokens.create_token(Actor(user), cast.other, "b").token
    factories.make_image("ready", base=base)
    workspace, model = f"/v1/workspace/{cast.other.pk}", f"/v1/models/{elsewhere.pk}"
    for method, path, body in (
        ("GET", workspace, None),
        ("PUT", workspace, {"name": "Taken"}),
        ("DELETE", workspace, None),
        ("GET", f"{workspace}/users", None),
        ("POST", f"{workspace}/users", {"userIds": [cast.stranger.pk]}),
        ("PUT", f"{workspace}/users/{cast.viewer.pk}", {"role": "admin"}),
        ("DELETE", f"{workspace}/users/{cast.viewer.pk}", None),
        ("GET", f"{workspace}/models", None),
        ("POST", f"{workspace}/models", {"name": "New"}),
        ("GET", model, None),
        ("PATCH", model, {"name": "Other"}),
        ("DELETE", model, None),
        ("GET", f"{model}/image", None),
        ("PUT", f"{model}/image", {"managedImageName": "ready"}),
        ("GET", f"{model}/image/history", None),
        ("POST", f"{model}/image:build", {"name": "fitting"}),
        ("GET", f"{model}/matches", None),
        ("DELETE", f"/v1/users/api-tokens/{there.pk}", None),
    ):
        assert asked(secret, method, path, body).status_code == 404, (method, path)
    listed = asked(secret, "GET", "/v1/workspace").json()["workspaces"]
    assert [item["name"] for item in listed] == [cast.workspace.name]
    found = asked(secret, "GET", "/v1/users/api-tokens").json()["apiTokenInfos"]
    assert {item["workspaceId"]["uuid"] for item in found} == {str(cast.workspace.pk)}
    cast.other.refresh_from_db()
    assert cast.other.name == "Workspace 2"
    assert ApiToken.objects.filter(pk=there.pk).exists()
    assert not elsewhere.assignments.exists()
    # In its own it acts as before, and images are everybody's.
    assert asked(secret, "GET", f"/v1/workspace/{cast.workspace.pk}").status_code == 200
    assert asked(secret, "GET", "/v1/images/ready").status_code == 200


@pytest.mark.slow
def test_its_user_acts_everywhere_when_signed_in(cast: Cast, elsewhere: MLModel) -> None:
    page = f"/workspaces/{cast.other.pk}/models/{elsewhere.pk}"
    assert cast.client(cast.member).get(page).status_code == 200


@pytest.mark.parametrize("who", ["viewer", "member", "manager", "support", "admin"])
def test_a_token_makes_no_token(who: str, cast: Cast) -> None:
    made = tokens.create_token(Actor(getattr(cast, who)), cast.workspace, "parent")
    for body in ({"name": "child"}, {}, None, {"workspaceId": {"uuid": str(cast.other.pk)}}):
        answer = asked(made.secret, "POST", "/v1/users/api-tokens", body)
        assert answer.status_code == 403
        assert "An API access token makes no tokens." in answer.json()["message"]
    with pytest.raises(NotAllowed, match="makes no tokens"):
        tokens.create_token(Actor(made.token.user, token=made.token), cast.workspace, "child")
    assert ApiToken.objects.count() == 1


@pytest.fixture
def viewers(cast: Cast) -> str:
    return tokens.create_token(Actor(cast.viewer), cast.workspace, "runs models").secret


@pytest.mark.slow
def test_a_viewers_token_creates_an_image_and_changes_nothing_else(
    cast: Cast, viewers: str, base: BaseImage
) -> None:
    image = factories.make_image("ready", base=base, created_by=cast.viewer)
    model = factories.make_model(cast.workspace, image=image)
    address = f"/v1/models/{model.pk}"
    made = {"name": "new", "pipRequirements": [{"name": "numpy"}]}
    assert asked(viewers, "POST", "/v1/images", made).status_code == 200
    own = ApiToken.objects.get()
    before = everything()
    for method, path, body in (
        ("PATCH", "/v1/images/new", {"pipRequirements": [{"name": "polars"}]}),
        ("POST", "/v1/images/new:cancel", None),
        ("POST", "/v1/images/ready:rebuild", None),
        ("POST", "/v1/images/ready:rollBack", {"build": 1}),
        ("DELETE", "/v1/images/ready", None),
        ("PUT", f"{address}/image", {"managedImageName": "new"}),
        ("POST", f"{address}/image:build", {"name": "fitting"}),
        ("POST", f"{address}/image:swapBack/1", None),
        ("PATCH", address, {"name": "Other"}),
        ("DELETE", address, None),
        ("POST", f"/v1/workspace/{cast.workspace.pk}/models", {"name": "New"}),
        ("PUT", f"/v1/workspace/{cast.workspace.pk}", {"name": "New"}),
        ("DELETE", f"/v1/users/api-tokens/{own.pk}", None),
        ("POST", "/v1/webhooks", {"url": "https://example.org/"}),
    ):
        answer = asked(viewers, method, path, body)
        assert answer.status_code == 403, (method, path)
    assert everything() == before
    # It still does what it is for.
    assert asked(viewers, "GET", f"{address}/image").status_code == 200


def everything() -> list[Any]:
    """All rows of the models that a program could change, but for what notes that one came."""
    left_out = {"last_used_at", "updated_at"}
    rows: list[Any] = []
    for label in ("images", "workspaces"):
        for model in apps.get_app_config(label).get_models():
            fields = [f.attname for f in model._meta.concrete_fields if f.name not in left_out]
            rows.append([str(model), list(model._default_manager.order_by("pk").values(*fields))])
    return rows


@pytest.mark.slow
def test_a_viewer_signed_in_changes_what_they_created(
    cast: Cast, viewers: str, base: BaseImage
) -> None:
    image = factories.make_image("ready", base=base, created_by=cast.viewer)
    page = f"/workspaces/{cast.workspace.pk}/settings/managed-images/image/{image.name}/rebuild"
    assert cast.client(cast.viewer).post(page).status_code == 302


@pytest.mark.slow
def test_what_only_viewers_tokens_may_not_is_refused_for_new_actions_too(cast: Cast) -> None:
    """Whatever is not listed is refused, so a new action is none of a viewer's token's by default."""
    token = tokens.create_token(Actor(cast.viewer), cast.workspace, "t").token
    image = ManagedImage(name="x", created_by=cast.viewer, created_in=cast.workspace)
    may = {
        action.value
        for action in Action
        if allows(Actor(cast.viewer, token=token), action, cast.workspace)
        or allows(Actor(cast.viewer, token=token), action, image)
    }
    assert {value for value in may if not value.endswith(".see")} == {
        "image.create", "model.resolve_image",
    }  # fmt: skip


@pytest.mark.slow
def test_a_token_follows_its_users_role(cast: Cast, viewers: str) -> None:
    path = f"/v1/workspace/{cast.workspace.pk}/models"
    assert asked(viewers, "POST", path, {"name": "One"}).status_code == 403
    Membership.objects.filter(user=cast.viewer).update(role=WorkspaceRole.MEMBER)
    assert asked(viewers, "POST", path, {"name": "One"}).status_code == 200


@pytest.mark.slow
def test_no_token_makes_or_changes_an_organization_administrator(cast: Cast) -> None:
    """Else who has stolen one could stay when it is revoked, and lock out who would revoke it."""
    secret = tokens.create_token(Actor(cast.admin), cast.workspace, "org").secret
    second = factories.make_user("second", InstanceRole.ORGANIZATION_ADMINISTRATOR)
    for method, path, body in (
        ("POST", "/v1/users", {"userName": "mine", "role": "org_admin"}),
        ("PUT", f"/v1/users/{cast.member.pk}", {"role": "org_admin"}),
        ("PUT", f"/v1/users/{second.pk}", {"role": "basic"}),
        ("DELETE", f"/v1/users/{second.pk}", None),
        ("POST", f"/v1/users/reset-password/{second.pk}", None),
        ("POST", f"/v1/users/remove-second-factors/{second.pk}", None),
    ):
        assert asked(secret, method, path, body).status_code == 403, (method, path)


def test_tokens_that_tokens_made_are_revoked_with_an_event(cast: Cast) -> None:
    """As the migration does; what people made stays."""
    migration = import_module("workspaces.migrations.0007_tokens_make_no_tokens")
    parent = tokens.create_token(Actor(cast.member), cast.workspace, "parent").token
    child = tokens.create_token(Actor(cast.member), cast.workspace, "child").token
    namesake = tokens.create_token(Actor(cast.manager), cast.workspace, "child").token
    # What an older version wrote when `parent` made `child`.
    AuditEvent.objects.create(
        event="token.created", user=cast.member, username="member", token_name=parent.name,
        object_type="api_token", object_name="child", workspace_name="A name of before",
        details={"user": "member", "suffix": child.suffix},
    )  # fmt: skip
    migration.revoke_made_by_tokens(apps, None)
    assert set(ApiToken.objects.all()) == {parent, namesake}
    event = AuditEvent.objects.get(event="token.revoked")
    assert (event.object_name, event.username, event.workspace_name) == (
        "child", "", cast.workspace.name,
    )  # fmt: skip
    assert event.details["user"] == "member"
