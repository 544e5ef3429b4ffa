"""Every operation, found by its shape, records one event in the transaction of its change."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

import images.operations
import workspaces.operations
from images.models import (
    BaseImage,
    BuildHost,
    Drift,
    ManagedImage,
    MLModel,
    RefusedRepository,
    Status,
    TaskDue,
    UnknownRepository,
    Webhook,
    Wish,
)
from images.operations import (
    alterations,
    base_images,
    builds,
    channels,
    default_image,
    drift,
    due_tasks,
    import_checks,
    ml_models,
    refused_repositories,
    removal,
    swaps,
    unknown_repositories,
    webhooks,
)
from images.operations.images import create_image, describe_image
from images.requirements import PipRequirement
from images.spec import ImageSpec
from tests import factories
from tests.cast import Cast
from workspaces import audit
from workspaces.access import Actor
from workspaces.models import AuditEvent, Membership, User, Workspace
from workspaces.operations import (
    accounts,
    members,
    organization,
    own_account,
    password_mail,
    tokens,
)
from workspaces.operations import workspaces as workspace_operations

pytestmark = pytest.mark.slow


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


# Every module of every app's operations, so that a new one is looked at, too.
MODULES = [*modules_of(images.operations), *modules_of(workspaces.operations)]


def operations_of(module: ModuleType) -> Iterator[str]:
    """What begins with an actor and opens a transaction."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__:
            parameters = list(inspect.signature(function).parameters)
            if parameters[:1] == ["actor"] and "transaction.atomic" in inspect.getsource(function):
                yield f"{module.__name__}.{name}"


@dataclass
class Scene:
    """An instance in use, and somebody with a token who may do everything."""

    cast: Cast
    base: BaseImage
    actor: Actor

    def actor_for(self, operation: str) -> Actor:
        return replace(self.actor, token=None) if operation in BY_PEOPLE_ALONE else self.actor

    @property
    def image(self) -> ManagedImage:
        return factories.make_image("ready", base=self.base)

    @property
    def movable(self) -> ManagedImage:
        image = self.image
        ManagedImage.objects.filter(pk=image.pk).update(tags_may_move=True)
        return image

    @property
    def building(self) -> ManagedImage:
        return factories.make_image("busy", base=self.base, status=Status.BUILDING_FIRST_TIME)

    @property
    def twice_built(self) -> ManagedImage:
        image = self.image
        later = factories.make_build(image, self.base, Status.READY, number=2)
        ManagedImage.objects.filter(pk=image.pk).update(current_build=later)
        return ManagedImage.objects.get(pk=image.pk)

    @property
    def drift(self) -> Drift:
        build = self.image.current_build
        return Drift.objects.create(build=build, codes=["manifest_missing"], said=["It is gone."])

    @property
    def refused(self) -> RefusedRepository:
        return factories.make_refused_repository("rime-managed-images/base/all-python3.11")

    @property
    def unknown(self) -> str:
        return UnknownRepository.objects.create(name="lost", tags=["build-1"], state="queued").name

    @property
    def removed(self) -> ManagedImage:
        image = self.image
        removal.remove_image(self.actor, image.name)
        return image

    @property
    def model(self) -> MLModel:
        return factories.make_model(self.cast.workspace)

    @property
    def waiting(self) -> MLModel:
        model = factories.make_model(self.cast.workspace, image=self.image)
        swaps.swap_image(self.actor, model, swaps.ManagedChoice(self.building.name))
        return model

    @property
    def with_default(self) -> Workspace:
        choice = swaps.ManagedChoice(self.image.name)
        default_image.set_default_image(self.actor, self.cast.workspace, choice)
        return self.cast.workspace

    @property
    def beside_default(self) -> MLModel:
        model = factories.make_model(self.with_default)
        swaps.swap_image(self.actor, model, swaps.ManagedChoice("ready"))
        return model

    @property
    def with_address(self) -> User:
        User.objects.filter(pk=self.cast.viewer.pk).update(email="viewer@example.org")
        return self.cast.viewer

    @property
    def membership(self) -> Membership:
        return Membership.objects.get(workspace=self.cast.workspace, user=self.cast.viewer)

    @property
    def webhook(self) -> Webhook:
        return webhooks.create_webhook(Actor(self.cast.admin), "https://example.org/", [])

    @property
    def open_session(self) -> str:
        session = Session.objects.create(
            session_key="elsewhere", session_data="", expire_date=timezone.now()
        )
        row = UserSession.objects.create(
            user=self.cast.admin, session_key=session.pk, ip="::", user_agent=""
        )
        return str(row.pk)


MODEL = ml_models.EditModel("Churn", "", "3.11", "polars")
SPEC = ImageSpec("all", "3.11", (PipRequirement("polars"),))

# What no token may: people do it, signed in.
BY_PEOPLE_ALONE = {"workspaces.operations.tokens.create_token"}

# These are two operations in one transaction.
TWO_EVENTS = {
    "images.operations.swaps.create_model_on",
    "images.operations.swaps.edit_model_on",
    "images.operations.swaps.build_one_that_fits",
}

# They hold rows still to look at them, and change nothing.
CHANGE_NOTHING = {"images.operations.runtime_image.validate_image"}

# What has happened before, and what to do with it.
Prepare = Callable[[Scene], Any]
Act = Callable[[Actor, Any], object]
OPERATIONS: dict[str, tuple[Prepare, Act]] = {
    "images.operations.refused_repositories.try_again": (
        lambda s: s.refused,
        refused_repositories.try_again,
    ),
    "images.operations.drift.push_again": (lambda s: s.drift, drift.push_again),
    "images.operations.unknown_repositories.decide": (
        lambda s: s.unknown, lambda a, name: unknown_repositories.decide(a, name, Wish.DELETE),
    ),
    "images.operations.images.create_image": (
        lambda s: "new", lambda a, name: create_image(a, name, SPEC),
    ),
    "images.operations.channels.set_channel": (
        lambda s: s.movable, lambda a, image: channels.set_channel(a, image, "stable", 1),
    ),
    "images.operations.images.describe_image": (
        lambda s: s.image, lambda a, image: describe_image(a, image, "It scores churn."),
    ),
    "images.operations.removal.remove_image": (
        lambda s: s.image, lambda a, image: removal.remove_image(a, image.name),
    ),
    "images.operations.removal.restore_image": (
        lambda s: s.removed.name, lambda a, name: removal.restore_image(a, name),
    ),
    "images.operations.removal.delete_image": (
        lambda s: s.removed.name, lambda a, name: removal.delete_image(a, name),
    ),
    "images.operations.ml_models.create_model": (
        lambda s: s.cast.workspace, lambda a, it: ml_models.create_model(a, it, MODEL),
    ),
    "images.operations.ml_models.edit_model": (
        lambda s: s.model, lambda a, model: ml_models.edit_model(a, model, MODEL),
    ),
    "images.operations.ml_models.remove_model": (lambda s: s.model, ml_models.remove_model),
    "images.operations.swaps.swap_image": (
        lambda s: (s.model, swaps.ManagedChoice(s.image.name)),
        lambda a, it: swaps.swap_image(a, *it),
    ),
    "images.operations.swaps.create_model_on": (
        lambda s: (s.cast.workspace, MODEL, swaps.ManagedChoice(s.image.name)),
        lambda a, it: swaps.create_model_on(a, *it),
    ),
    "images.operations.swaps.build_one_that_fits": (
        lambda s: s.model, lambda a, model: swaps.build_one_that_fits(a, model, "fitting"),
    ),
    "images.operations.swaps.swap_to_default": (
        lambda s: s.beside_default, swaps.swap_to_default,
    ),
    "images.operations.swaps.edit_model_on": (
        lambda s: (s.model, MODEL, swaps.ManagedChoice(s.image.name)),
        lambda a, it: swaps.edit_model_on(a, *it),
    ),
    "images.operations.default_image.set_default_image": (
        lambda s: (s.cast.workspace, swaps.ManagedChoice(s.image.name)),
        lambda a, it: default_image.set_default_image(a, *it),
    ),
    "images.operations.default_image.clear_default_image": (
        lambda s: s.with_default, default_image.clear_default_image,
    ),
    "images.operations.swaps.stop_waiting": (lambda s: s.waiting, swaps.stop_waiting),
    "images.operations.base_images.import_base_image": (
        lambda s: {"image_type": "nlp", "python_version": "3.12", "platform_version": "1"},
        lambda a, kind: base_images.import_base_image(a, **kind, source="suite:trixie"),
    ),
    "images.operations.base_images.retire_base_image": (lambda s: s.base, base_images.retire_base_image),
    "images.operations.builds.rebuild_image": (lambda s: s.image, builds.rebuild_image),
    "images.operations.builds.build_from_source": (lambda s: s.image, builds.build_from_source),
    "images.operations.alterations.propose_alteration": (
        lambda s: (s.image, SPEC), lambda a, it: alterations.propose_alteration(a, *it),
    ),
    "images.operations.alterations.alter_image": (
        lambda s: factories.make_alteration(s.image), alterations.alter_image,
    ),
    "images.operations.alterations.alter_image_unseen": (
        lambda s: (s.image, SPEC), lambda a, it: alterations.alter_image_unseen(a, *it),
    ),
    "images.operations.builds.roll_back_image": (
        lambda s: s.twice_built, lambda a, image: builds.roll_back_image(a, image, 1),
    ),
    "images.operations.import_checks.check_imports": (
        lambda s: s.image, import_checks.check_imports,
    ),
    "images.operations.import_checks.set_import_policy": (
        lambda s: s.image, lambda a, image: import_checks.set_import_policy(a, image, "refuse"),
    ),
    "images.operations.builds.cancel_build": (lambda s: s.building, builds.cancel_build),
    "images.operations.due_tasks.wake_build": (lambda s: s.building.builds.get(), due_tasks.wake_build),
    "images.operations.due_tasks.wake_task": (
        lambda s: TaskDue.objects.get(of=f"{s.building.name} #1"), due_tasks.wake_task,
    ),
    "images.operations.webhooks.create_webhook": (
        lambda s: "https://example.org/", lambda a, url: webhooks.create_webhook(a, url, []),
    ),
    "images.operations.webhooks.remove_webhook": (
        lambda s: s.webhook.pk, lambda a, number: webhooks.remove_webhook(a, number),
    ),
    "images.operations.webhooks.send_again": (
        lambda s: s.webhook.deliveries.create(event="image.ready", payload={}),
        lambda a, sent: webhooks.send_again(a, sent.webhook_id, sent.pk),
    ),
    "workspaces.operations.accounts.create_account": (
        lambda s: "ada", lambda a, name: accounts.create_account(a, name, role="basic"),
    ),
    "workspaces.operations.accounts.change_role": (
        lambda s: s.cast.viewer, lambda a, user: accounts.change_role(a, user, "support"),
    ),
    "workspaces.operations.accounts.deactivate_account": (
        lambda s: s.cast.viewer, accounts.deactivate_account,
    ),
    "workspaces.operations.accounts.reactivate_account": (
        lambda s: accounts.deactivate_account(s.actor, s.cast.viewer), accounts.reactivate_account,
    ),
    "workspaces.operations.accounts.password_link": (lambda s: s.cast.viewer, accounts.password_link),
    "workspaces.operations.password_mail.mail_password_link": (
        lambda s: s.with_address,
        lambda a, user: password_mail.mail_password_link(a, user, "https://images.example.org"),
    ),
    "workspaces.operations.accounts.remove_second_factors": (
        lambda s: s.cast.viewer, accounts.remove_second_factors,
    ),
    "workspaces.operations.members.add_members": (
        lambda s: s.cast,
        lambda a, cast: members.add_members(a, cast.workspace, [cast.stranger], "member"),
    ),
    "workspaces.operations.members.edit_member": (
        lambda s: s.membership, lambda a, membership: members.edit_member(a, membership, "vp"),
    ),
    "workspaces.operations.members.remove_member": (lambda s: s.membership, members.remove_member),
    "workspaces.operations.workspaces.create_workspace": (
        lambda s: workspace_operations.EditWorkspace("Pricing", ""), workspace_operations.create_workspace,
    ),
    "workspaces.operations.workspaces.edit_workspace": (
        lambda s: s.cast.workspace,
        lambda a, it: workspace_operations.edit_workspace(
            a, it, workspace_operations.EditWorkspace("Pricing", "")
        ),
    ),
    "workspaces.operations.workspaces.remove_workspace": (
        lambda s: s.cast.workspace, lambda a, it: workspace_operations.remove_workspace(a, it, it.name),
    ),
    "workspaces.operations.organization.change_time_zone": (
        lambda s: "Asia/Tokyo", organization.change_time_zone,
    ),
    "workspaces.operations.own_account.choose_time_zone": (
        lambda s: "Asia/Tokyo", own_account.choose_time_zone,
    ),
    "workspaces.operations.own_account.end_sessions": (
        lambda s: s.open_session, lambda a, chosen: own_account.end_sessions(a, chosen, keep=""),
    ),
    "workspaces.operations.tokens.create_token": (
        lambda s: s.cast.workspace, lambda a, workspace: tokens.create_token(a, workspace, "mine"),
    ),
    "workspaces.operations.tokens.revoke_token": (
        lambda s: tokens.create_token(Actor(s.cast.member), s.cast.workspace, "theirs").token,
        tokens.revoke_token,
    ),
}  # fmt: skip


@pytest.fixture
def scene(cast: Cast, base: BaseImage, settings: Any) -> Scene:
    settings.MAIL_CONFIGURED = True
    BuildHost.objects.create(name="builds-1")
    BuildHost.objects.create(name="builds-1", queue="sources")
    token = tokens.create_token(Actor(cast.admin), cast.workspace, "nightly").token
    return Scene(cast, base, Actor(cast.admin, "192.0.2.1", token))


def test_none_is_missing() -> None:
    found = {name for module in MODULES for name in operations_of(module)}
    assert found == set(OPERATIONS) | CHANGE_NOTHING


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_records_one_event_with_who_and_from_where(name: str, scene: Scene) -> None:
    prepare, act = OPERATIONS[name]
    prepared = prepare(scene)
    last = AuditEvent.objects.latest("pk").pk
    act(scene.actor_for(name), prepared)
    events = AuditEvent.objects.filter(pk__gt=last)
    assert len(events) == (2 if name in TWO_EVENTS else 1)
    for event in events:
        assert (event.username, event.role) == ("admin", "org_admin")
        token = "" if name in BY_PEOPLE_ALONE else "nightly"
        assert (event.token_name, event.address) == (token, "192.0.2.1")
        assert event.object_name
        assert event.object_type


@pytest.mark.parametrize("name", OPERATIONS)
def test_where_the_event_cannot_be_recorded_nothing_is_changed(
    name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, act = OPERATIONS[name]
    prepared = prepare(scene)
    before = everything()

    def full(*args: Any, **values: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(audit, "record", full)
    with pytest.raises(OSError, match="No space left"):
        act(scene.actor_for(name), prepared)
    assert everything() == before


def everything() -> list[tuple[str, str]]:
    """All rows of this platform's own tables, and those of sessions and second factors, in one statement."""
    labels = ("images", "workspaces", "mfa", "usersessions", "sessions")
    names = [m._meta.db_table for label in labels for m in apps.get_app_config(label).get_models()]
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{name}', it::text FROM {connection.ops.quote_name(name)} AS it"  # noqa: S608
                for name in names
            )
        )
        return sorted(cursor.fetchall())
