"""Whose an image is: others see it, run models on it and copy it, and change nothing of it, by any way in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from images.jobs.retention import read_retention_state
from images.models import BaseImage, BuildReason, ManagedImage, MLModel, Status
from images.models.lease import WorkState
from images.operations import alterations, import_checks, runtime_image
from images.operations import builds as revisions
from images.operations.swaps import ManagedChoice, swap_image
from images.queries.kept_builds import kept_builds
from images.requirements import PipRequirement
from images.spec import ImageSpec
from ri_platform.errors import NotAllowed
from tests import factories
from tests.cast import Cast
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.models import AuditEvent, InstanceRole, User, Workspace, WorkspaceRole
from workspaces.operations import members, tokens

POLARS = (PipRequirement("polars"),)


@pytest.fixture
def image(victim: ManagedImage) -> ManagedImage:
    return victim


@pytest.fixture
def model(theirs: Workspace, image: ManagedImage) -> MLModel:
    return factories.make_model(theirs, image=image)


@pytest.fixture
def attacker(cast: Cast) -> User:
    """A viewer of another workspace, with no other role."""
    return cast.viewer


def snapshot(image: ManagedImage) -> Any:
    row = ManagedImage.objects.get(pk=image.pk)
    builds = list(row.builds.order_by("number").values_list("number", "state"))
    return row.spec, row.status, row.current_build_id, builds, row.alterations.count()


# --- attacks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["alter", "rebuild", "build-from-source", "cancel", "roll-back"])
@pytest.mark.parametrize("role", [WorkspaceRole.VIEWER, WorkspaceRole.ADMINISTRATOR])
@pytest.mark.slow
def test_nobody_of_another_workspace_changes_it_in_the_console(
    verb: str, role: WorkspaceRole, cast: Cast, attacker: User, image: ManagedImage, model: MLModel
) -> None:
    cast.workspace.memberships.filter(user=attacker).update(role=role)
    if verb == "cancel":
        factories.make_build(image, image.current_build.base_image, Status.BUILDING_FIRST_TIME, 3)  # type: ignore[union-attr]
    before, digest = snapshot(image), runtime_image.resolve(model).digest
    page = reverse("image", args=[cast.workspace.pk, image.name])
    form = {
        "image_type": "all", "python_version": "3.11", "pip_requirements": "evil", "build": "1",
    }  # fmt: skip
    answer = cast.client(attacker).post(f"{page}/{verb}", form)
    assert answer.status_code == 403
    assert b"Only its creator, members of the workspace" in answer.content
    assert b"Copy it" in answer.content
    assert snapshot(image) == before
    assert runtime_image.resolve(model).digest == digest


@pytest.mark.slow
def test_nor_builds_what_its_owner_has_proposed(
    cast: Cast, attacker: User, image: ManagedImage
) -> None:
    proposed = factories.make_alteration(image)
    before = snapshot(image)
    address = reverse("build_alteration", args=[cast.workspace.pk, image.name, proposed.pk])
    assert cast.client(attacker).post(address).status_code == 403
    seen = reverse("alteration", args=[cast.workspace.pk, image.name, proposed.pk])
    assert cast.client(attacker).get(seen).status_code == 403
    assert snapshot(image) == before


@pytest.mark.slow
def test_nor_in_the_admin(cast: Cast, attacker: User, image: ManagedImage) -> None:
    before = snapshot(image)
    User.objects.filter(pk=attacker.pk).update(is_superuser=True, is_staff=True)
    chosen = {"action": "rebuild", "_selected_action": [image.pk]}
    cast.client(attacker).post("/django-admin/images/managedimage/", chosen)
    chosen = {"action": "retry", "_selected_action": [image.current_build_id]}
    cast.client(attacker).post("/django-admin/images/build/", chosen)
    assert snapshot(image) == before


OPERATIONS: dict[str, Callable[[Actor, ManagedImage], object]] = {
    "rebuild": revisions.rebuild_image,
    "build_from_source": revisions.build_from_source,
    "propose": lambda a, i: alterations.propose_alteration(a, i, ImageSpec("all", "3.11", POLARS)),
    "propose_missing": alterations.propose_missing_packages,
    "alter": lambda a, i: alterations.alter_image(a, factories.make_alteration(i)),
    "alter_unseen": lambda a, i: alterations.alter_image_unseen(
        a, i, ImageSpec("all", "3.11", POLARS)
    ),
    "roll_back": lambda a, i: revisions.roll_back_image(a, i, 1),
    "cancel": revisions.cancel_build,
    "check_imports": import_checks.check_imports,
    "set_import_policy": lambda a, i: import_checks.set_import_policy(a, i, "off"),
}


@pytest.mark.parametrize("verb", OPERATIONS)
@pytest.mark.slow
def test_each_operation_asks_itself(verb: str, cast: Cast, image: ManagedImage) -> None:
    before = snapshot(image)[:4]
    with pytest.raises(NotAllowed, match="Only its creator"):
        OPERATIONS[verb](Actor(cast.manager), image)
    assert snapshot(image)[:4] == before


# --- who the owners are -----------------------------------------------------------------------------------

OWNERS_ALONE = [action for action, rule in TABLE.items() if rule.creator]


def test_these_verbs_are_its_owners() -> None:
    assert {action.value for action in OWNERS_ALONE} == {
        "image.alter", "image.rebuild", "image.roll_back", "image.cancel_build",
        "image.build_from_source", "image.check_imports", "image.set_import_policy", "image.set_channel",
    }  # fmt: skip
    assert len({TABLE[action].refusal for action in OWNERS_ALONE}) == len(OWNERS_ALONE)


@pytest.mark.parametrize("action", OWNERS_ALONE, ids=lambda action: action.value)
def test_the_creator_and_the_workspace_own_it(action: Action, cast: Cast, base: BaseImage) -> None:
    """Written out, not derived: (creator, workspace it was created in) → who may."""
    everybody = {
        name: getattr(cast, name)
        for name in ("admin", "support", "manager", "member", "viewer", "stranger")
    }

    def may(creator: User | None, workspace: Workspace | None) -> set[str]:
        image = ManagedImage(name="x", created_by=creator, created_in=workspace)
        return {name for name, user in everybody.items() if allows(Actor(user), action, image)}

    organization = {"admin", "support"}
    users = {"manager", "member"}
    assert may(None, cast.workspace) == organization | users
    assert may(cast.member, cast.workspace) == organization | users
    # A viewer who creates an image has to be able to finish it, and stays its owner when they have left.
    assert may(cast.viewer, cast.workspace) == organization | users | {"viewer"}
    assert may(cast.stranger, cast.workspace) == organization | users | {"stranger"}
    assert may(cast.stranger, None) == organization | {"stranger"}
    assert may(None, None) == organization
    elsewhere = factories.make_workspace("Elsewhere")
    assert may(None, elsewhere) == organization
    User.objects.filter(pk=cast.stranger.pk).update(is_active=False)
    everybody["stranger"].refresh_from_db()
    assert may(cast.stranger, None) == organization


@pytest.mark.slow
def test_an_image_outlives_creator_and_workspace_as_the_organizations(
    cast: Cast, image: ManagedImage, theirs: Workspace
) -> None:
    owner = User.objects.get(username="owner")
    revisions.rebuild_image(Actor(owner), image)
    revisions.cancel_build(Actor(owner), image)
    theirs.delete()
    owner.delete()
    image.refresh_from_db()
    assert image.owner_name == "Organization Administrators"
    with pytest.raises(NotAllowed):
        revisions.rebuild_image(Actor(cast.manager), image)
    revisions.rebuild_image(Actor(cast.admin), image)


def test_a_role_that_is_taken_away_ends_it_at_once(
    cast: Cast, image: ManagedImage, theirs: Workspace
) -> None:
    joined = theirs.memberships.create(user=cast.member, role=WorkspaceRole.MEMBER)
    theirs.memberships.create(user=cast.manager, role=WorkspaceRole.ADMINISTRATOR)
    assert allows(Actor(cast.member), Action.ALTER_IMAGE, image)
    members.edit_member(Actor(cast.manager), joined, WorkspaceRole.VIEWER)
    assert not allows(Actor(cast.member), Action.ALTER_IMAGE, image)
    members.remove_member(Actor(cast.manager), joined)
    assert not allows(Actor(cast.member), Action.ALTER_IMAGE, image)


def test_a_token_did_not_create_what_its_user_did_in_another_workspace(
    cast: Cast, theirs: Workspace, image: ManagedImage, base: BaseImage
) -> None:
    """It acts in its own workspace alone; where that other one is gone, it acts in none but its own."""
    owner = User.objects.get(username="owner")
    cast.workspace.memberships.create(user=owner, role=WorkspaceRole.ADMINISTRATOR)
    here = tokens.create_token(Actor(owner), theirs, "here").token
    elsewhere = tokens.create_token(Actor(owner), cast.workspace, "elsewhere").token
    assert allows(Actor(owner, token=here), Action.ALTER_IMAGE, image)
    assert not allows(Actor(owner, token=elsewhere), Action.ALTER_IMAGE, image)
    theirs.memberships.filter(user=owner).update(role=WorkspaceRole.VIEWER)
    assert allows(Actor(owner), Action.ALTER_IMAGE, image)
    assert not allows(Actor(owner, token=here), Action.ALTER_IMAGE, image)
    orphan = ManagedImage(name="x", created_by=owner, created_in=None)
    assert allows(Actor(owner, token=elsewhere), Action.ALTER_IMAGE, orphan)
    administers = tokens.create_token(Actor(cast.admin), cast.workspace, "org").token
    assert allows(Actor(cast.admin, token=administers), Action.ALTER_IMAGE, image)


@pytest.mark.slow
def test_members_of_its_workspace_act_by_any_workspaces_page(
    cast: Cast, image: ManagedImage, theirs: Workspace
) -> None:
    """Images are the instance's: the page that it is opened on decides nothing."""
    theirs.memberships.create(user=cast.viewer, role=WorkspaceRole.MEMBER)
    address = reverse("rebuild_image", args=[cast.workspace.pk, image.name])
    assert cast.client(cast.viewer).post(address).status_code == 302
    event = AuditEvent.objects.get(event="image.rebuild_requested")
    assert (event.username, event.workspace_name) == ("viewer", cast.workspace.name)


# --- a pin ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pinned_build_is_kept_through_any_number_of_alterations(
    cast: Cast, image: ManagedImage, theirs: Workspace, base: BaseImage, settings: Any
) -> None:
    settings.KEEP_BUILDS = 10
    owner = Actor(User.objects.get(username="owner"))
    pinned = factories.make_model(theirs)
    swap_image(owner, pinned, ManagedChoice(image.name, 1))
    digest = runtime_image.resolve(pinned).digest
    for number in range(11):
        altered = ImageSpec("all", "3.11", (PipRequirement("polars", f"=={number}"),))
        build = alterations.alter_image_unseen(owner, image, altered)
        assert build.reason == BuildReason.ALTER
        build.state, build.lock = WorkState.SUCCEEDED, factories.lock_of(polars=str(number))
        build.manifest_digest = factories.digest(f"altered {number}")
        build.save()
        ManagedImage.objects.filter(pk=image.pk).update(current_build=build, status=Status.READY)
    image.refresh_from_db()
    kept = set(kept_builds(image).values_list("number", flat=True))
    assert kept == {1, *range(4, 14)}
    assert 1 not in read_retention_state(image).superseded
    assert 2 in read_retention_state(image).superseded
    assert runtime_image.resolve(pinned).digest == digest
    # The pin ends with the swap away from it, and with it what kept the build.
    swap_image(owner, pinned, ManagedChoice(image.name))
    assert 1 in read_retention_state(image).superseded


# --- what is shown ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_page_offers_owners_what_is_theirs_and_others_a_copy(
    cast: Cast, attacker: User, image: ManagedImage, theirs: Workspace
) -> None:
    page = reverse("image", args=[cast.workspace.pk, image.name])
    copy = f"{reverse('new_image', args=[cast.workspace.pk])}?copy={image.name}"
    seen = cast.client(attacker).get(page).content.decode()
    assert "Owner" in seen
    assert "owner and members of Theirs" in seen
    assert f"{page}/alter" not in seen
    assert f"{page}/rebuild" not in seen
    assert f'href="{copy}"' in seen
    revisions_tab = cast.client(attacker).get(f"{page}/revisions").content.decode()
    assert "Roll back" not in revisions_tab
    theirs.memberships.create(user=attacker, role=WorkspaceRole.MEMBER)
    seen = cast.client(attacker).get(page).content.decode()
    assert f"{page}/alter" in seen
    assert f"{page}/rebuild" in seen
    assert f'href="{copy}"' in seen
    assert "Roll back" in cast.client(attacker).get(f"{page}/revisions").content.decode()


@pytest.mark.slow
def test_a_failed_build_offers_a_stranger_no_source_build(
    cast: Cast, attacker: User, theirs: Workspace, base: BaseImage
) -> None:
    image = factories.make_image(
        "broken", base=base, created_in=theirs, status=Status.FAILED, error_code="no_wheel"
    )
    page = reverse("image", args=[cast.workspace.pk, image.name])
    seen = cast.client(attacker).get(page).content.decode()
    assert "build-from-source" not in seen
    assert f"{page}/alter" not in seen


@pytest.mark.slow
def test_the_pane_says_for_each_image_whether_it_can_be_altered(
    cast: Cast, base: BaseImage, image: ManagedImage
) -> None:
    pane = reverse("images", args=[cast.workspace.pk])
    client = cast.client(cast.member)
    with CaptureQueriesContext(connection) as for_one:
        assert "/alter" not in client.get(pane).content.decode()
    factories.make_images([f"ours-{n}" for n in range(20)], base=base, created_in=cast.workspace)
    with CaptureQueriesContext(connection) as for_many:
        seen = client.get(pane).content.decode()
    assert len(for_many) <= len(for_one)
    assert seen.count("?copy=") == 21
    assert seen.count("/alter") == 20
    assert f"/{image.name}/alter" not in seen


# --- copying ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_copy_begins_with_the_spec_and_is_the_copiers(
    cast: Cast, attacker: User, image: ManagedImage
) -> None:
    ManagedImage.objects.filter(pk=image.pk).update(
        os_packages=[{"name": "libgomp1", "version": ""}]
    )
    address = f"{reverse('new_image', args=[cast.workspace.pk])}?copy={image.name}"
    client = cast.client(attacker)
    seen = client.get(address).content.decode()
    assert "numpy&gt;=2" in seen
    assert "libgomp1" in seen
    assert "victim-copy" in seen
    form = {
        "name": "mine", "image_type": "all", "python_version": "3.11", "pip_requirements": "numpy>=2",
    }  # fmt: skip
    # It has what it was copied from by intention, so nobody is told that there is such an image.
    answer = client.post(address, form)
    assert answer.status_code == 302, answer.content.decode()
    mine = ManagedImage.objects.get(name="mine")
    assert (mine.created_by, mine.created_in) == (attacker, cast.workspace)
    assert mine.copied_from == image
    event = AuditEvent.objects.get(event="image.created")
    assert event.details["copied_from"] == image.name
    revisions.cancel_build(Actor(attacker), mine)
    assert snapshot(image)[0].pip_requirements[0].name == "numpy"


@pytest.mark.slow
def test_a_copy_is_compared_with_the_original(cast: Cast, base: BaseImage) -> None:
    original = factories.make_image("original", base=base, created_in=cast.other)
    copy = factories.make_image("copy", base=base, created_in=cast.workspace)
    ManagedImage.objects.filter(pk=copy.pk).update(copied_from=original)
    page = reverse("image", args=[cast.workspace.pk, "copy"])
    compare = reverse("compare_images", args=[cast.workspace.pk])
    client = cast.client(cast.viewer)
    seen = client.get(page).content.decode()
    assert f"{compare}?a=original&amp;b=copy" in seen
    assert client.get(f"{compare}?a=original&b=copy").status_code == 200
    ManagedImage.objects.filter(pk=original.pk).delete()
    assert "Copied from" not in client.get(page).content.decode()


@pytest.mark.parametrize("name", ["nothing-like-this", "Bad Name", "x" * 500])
def test_what_is_not_there_cannot_be_copied(name: str, cast: Cast) -> None:
    address = f"{reverse('new_image', args=[cast.workspace.pk])}?copy={name}"
    assert cast.client(cast.viewer).get(address).status_code == 404


@pytest.mark.slow
def test_an_administrator_who_is_no_member_changes_any(cast: Cast, image: ManagedImage) -> None:
    assert cast.support.role == InstanceRole.SUPPORT
    page = reverse("rebuild_image", args=[cast.workspace.pk, image.name])
    assert cast.client(cast.support).post(page).status_code == 302


@pytest.mark.slow
def test_the_refusal_is_a_page_with_a_sentence_for_each_verb(
    cast: Cast, attacker: User, image: ManagedImage
) -> None:
    client: Client = cast.client(attacker)
    for action, route in (
        (Action.ALTER_IMAGE, "alter_image"),
        (Action.REBUILD_IMAGE, "rebuild_image"),
        (Action.ROLL_BACK_IMAGE, "roll_back_image"),
        (Action.CANCEL_BUILD, "cancel_build"),
        (Action.BUILD_FROM_SOURCE, "build_from_source"),
    ):
        answer = client.post(reverse(route, args=[cast.workspace.pk, image.name]))
        assert TABLE[action].refusal in answer.content.decode()
