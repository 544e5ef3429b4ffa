"""Whose build is next, how many one person may have, and what source builds keep waiting."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from images import tasks, wake
from images.building.containers import container
from images.errors import TooManyBuilds
from images.jobs import build as run
from images.jobs import turns
from images.models import Alteration, BaseImage, Build, BuildHost, BuildReason, ManagedImage, Status
from images.models.lane import Lane
from images.models.lease import WorkState
from images.operations import builds as revisions
from images.operations.images import create_image
from images.queries import fair_queue
from images.queries.forecast import Forecast
from images.requirements import PipRequirement
from images.spec import ImageSpec
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import User, Workspace


def queue(
    base: BaseImage, user: User, number: int, workspace: Workspace | None = None, **spec: Any
) -> list[Build]:
    """Builds of one person that wait for nothing but a builder."""
    before = Build.objects.count()
    images = factories.make_images(
        [f"{user.username}-{before + place}" for place in range(number)], base=base,
        status=Status.BUILDING_FIRST_TIME, created_by=user, created_in=workspace,
        requested_by=user,
    )  # fmt: skip
    if spec:
        for build in Build.objects.filter(image__in=images):
            build.spec = replace(build.spec, **spec)
            build.save(update_fields=["spec"])
    return list(Build.objects.filter(image__in=images).order_by("pk"))


@pytest.fixture(autouse=True)
def leases(settings: Any) -> None:
    """None runs out during a test, whatever else the machine does."""
    settings.BUILD_LEASE_SECONDS = 600


def order(lane: Lane = Lane.BUILDS) -> list[int]:
    """The keys of what a single worker takes, one after the other, each ended before the next is begun."""
    taken: list[int] = []
    while (work := turns.claim_next(lane)) is not None:
        work.write(state=WorkState.CANCELLED, lease_expires_at=None)
        taken.append(work.pk)
    return taken


def start(build: Build) -> None:
    now = timezone.now()
    Build.objects.filter(pk=build.pk).update(
        state=WorkState.RUNNING, started_at=now, lease_expires_at=now + timedelta(minutes=1)
    )


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Build]:
    """Builds in the order in which workers took them; each is over at once."""
    factories.make_instance()
    taken: list[Build] = []

    def end(build: Build) -> None:
        taken.append(build)
        build.write(state=WorkState.CANCELLED, lease_expires_at=None)

    monkeypatch.setattr(run, "run_claimed", end)
    return taken


@pytest.mark.slow
def test_a_lone_build_is_next_whatever_somebody_else_has_queued(
    cast: Cast, base: BaseImage, ended: list[Build], sent: list[Any]
) -> None:
    many = queue(base, cast.viewer, 150)
    (lone,) = queue(base, cast.member, 1)
    # Each message wakes a worker; which one it names does not matter.
    for build in many[:3]:
        tasks.run_build(build.pk)
    assert ended[0] == many[0]
    assert ended[1] == lone


@pytest.mark.parametrize(("ended", "running"), [(0, 1), (1, 1), (7, 1), (3, 0)])
@pytest.mark.slow
def test_a_lone_build_waits_for_what_runs_and_one_more_at_most(
    cast: Cast, base: BaseImage, ended: int, running: int
) -> None:
    many = queue(base, cast.viewer, 150)
    for build in many[: ended + running]:
        start(build)
    end = {"state": WorkState.CANCELLED, "lease_expires_at": None}
    Build.objects.filter(pk__in=[build.pk for build in many[:ended]]).update(**end)
    (lone,) = queue(base, cast.member, 1)
    # What runs ends before anything else is begun.
    Build.objects.filter(state=WorkState.RUNNING).update(**end)
    begun = []
    for _ in range(2):
        work = turns.claim_next(Lane.BUILDS)
        assert work is not None
        work.write(**end)
        begun.append(work.pk)
    assert lone.pk in begun


@pytest.mark.slow
def test_turns_go_round_robin_over_those_who_wait(cast: Cast, base: BaseImage) -> None:
    a, b, c = (
        queue(base, user, number)
        for user, number in ((cast.viewer, 4), (cast.member, 2), (cast.manager, 1))
    )
    assert order() == [x.pk for x in (a[0], b[0], c[0], a[1], b[1], a[2], a[3])]


@pytest.mark.slow
def test_who_has_something_running_comes_after_who_has_nothing(cast: Cast, base: BaseImage) -> None:
    a = queue(base, cast.viewer, 2)
    (b,) = queue(base, cast.member, 1)
    start(a[0])
    assert order() == [b.pk, a[1].pk]


@pytest.mark.slow
def test_one_persons_workspaces_take_turns_too(cast: Cast, base: BaseImage) -> None:
    here = queue(base, cast.admin, 3, cast.workspace)
    there = queue(base, cast.admin, 1, cast.other)
    assert order() == [here[0].pk, there[0].pk, here[1].pk, here[2].pk]


@pytest.mark.slow
def test_a_full_workspace_comes_after_one_that_has_little(cast: Cast, base: BaseImage) -> None:
    start(queue(base, cast.member, 1, cast.workspace)[0])
    (crowded,) = queue(base, cast.viewer, 1, cast.workspace)
    (quiet,) = queue(base, cast.stranger, 1, cast.other)
    assert order() == [quiet.pk, crowded.pk]


@pytest.mark.slow
def test_the_platforms_own_upgrades_come_last(cast: Cast, base: BaseImage) -> None:
    (upgrade,) = queue(base, cast.viewer, 1)
    Build.objects.filter(pk=upgrade.pk).update(reason=BuildReason.UPGRADE, requested_by=None)
    many = queue(base, cast.member, 2)
    assert order() == [many[0].pk, many[1].pk, upgrade.pk]


@pytest.mark.slow
def test_so_many_of_one_person_run_at_once_and_no_more(
    cast: Cast, base: BaseImage, settings: Any
) -> None:
    settings.MAX_RUNNING_BUILDS = 2
    builds = queue(base, cast.member, 3)
    start(builds[0])
    assert turns.claim_next(Lane.BUILDS) == builds[1]
    assert turns.claim_next(Lane.BUILDS) is None
    # A worker that died holds no place.
    Build.objects.filter(pk=builds[0].pk).update(lease_expires_at=timezone.now())
    assert turns.claim_next(Lane.BUILDS) == builds[0]


@pytest.mark.slow
def test_source_builds_keep_no_other_build_waiting(
    cast: Cast,
    base: BaseImage,
    ended: list[Build],
    sent: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Who may take it is what is tested, not whether this machine could build it.
    monkeypatch.setattr(container, "confinement_problem", lambda: "")
    sources = queue(base, cast.viewer, 2, allow_source=True)
    (wheels,) = queue(base, cast.viewer, 1)
    assert order(Lane.BUILDS) == [wheels.pk]
    tasks.run_build(sources[0].pk)
    # Its message was sent to the wrong lane, by an older version: it is passed on, and nothing is lost.
    assert sent == [(wake.Task.RUN_SOURCE_BUILD, sources[0].pk)]
    assert ended == []
    tasks.run_source_build(sources[0].pk)
    assert ended == [sources[0]]
    assert sent[1:] == [(wake.Task.RUN_SOURCE_BUILD, sources[1].pk)]


@pytest.mark.slow
def test_resolutions_take_turns_with_builds(
    cast: Cast, base: BaseImage, ended: list[Build], sent: list[Any]
) -> None:
    image = factories.make_image("altered", base=base, created_by=cast.viewer)
    for _ in range(3):
        Alteration.objects.create(
            image=image, base_image=base, spec=image.spec, requested_by=cast.viewer
        )
    (build,) = queue(base, cast.member, 1)
    found = [turns.claim_next(Lane.BUILDS) for _ in range(4)]
    assert [type(work) for work in found] == [Alteration, Build, Alteration, Alteration]
    assert found[1] == build


@pytest.mark.slow
def test_somebodys_preview_goes_before_their_own_builds(
    cast: Cast, base: BaseImage, ended: list[Build], sent: list[Any]
) -> None:
    (first, *_) = queue(base, cast.viewer, 3)
    proposed = Alteration.objects.create(
        image=first.image, base_image=base, spec=first.spec, requested_by=cast.viewer
    )
    assert turns.claim_next(Lane.BUILDS) == proposed


@pytest.mark.slow
def test_imports_of_base_images_take_turns_as_one_party(
    cast: Cast, base: BaseImage, ended: list[Build], sent: list[Any]
) -> None:
    builds = queue(base, cast.viewer, 3)
    bases = [factories.make_base_image(state=WorkState.QUEUED) for _ in range(2)]
    found = [turns.claim_next(Lane.BUILDS) for _ in range(4)]
    assert found == [builds[0], bases[0], builds[1], bases[1]]


@pytest.mark.slow
def test_a_message_of_what_was_cancelled_is_somebody_elses_turn(
    cast: Cast, base: BaseImage, ended: list[Build], sent: list[Any]
) -> None:
    one, other = queue(base, cast.viewer, 2)
    revisions.cancel_build(Actor(cast.viewer), one.image)
    tasks.run_build(one.pk)
    assert ended == [other]


@pytest.mark.slow
def test_the_cost_of_a_turn_does_not_grow_with_the_queue(
    cast: Cast, base: BaseImage, django_assert_num_queries: Any
) -> None:
    queue(base, cast.viewer, 2)
    queue(base, cast.member, 1)
    with CaptureQueriesContext(connection) as few:
        next(fair_queue.next_in(Lane.BUILDS, turns.startable(Lane.BUILDS)))
    queue(base, cast.viewer, 10)
    with django_assert_num_queries(len(few)):
        next(fair_queue.next_in(Lane.BUILDS, turns.startable(Lane.BUILDS)))


@pytest.mark.slow
def test_the_users_who_wait_are_found_in_an_index(cast: Cast, base: BaseImage) -> None:
    (build,) = queue(base, cast.viewer, 1)
    copies = [
        ManagedImage(name=f"waits-{number}", python_version="3.11", status=Status.FAILED)
        for number in range(1000)
    ]
    ManagedImage.objects.bulk_create(copies)
    Build.objects.bulk_create(
        Build(
            image=image, number=number, base_image=base, spec=build.spec, requested_by=cast.viewer,
            state=WorkState.QUEUED if number == 3 and image.pk % 20 == 0 else WorkState.CANCELLED,
        )
        for image in copies
        for number in (1, 2, 3)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE images_build")
        # On a small table the planner would rather read all of it.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + fair_queue.USERS)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Only Scan using build_by_user" in plan, plan


@pytest.mark.slow
def test_every_message_wakes_one_more_while_something_waits(
    cast: Cast, base: BaseImage, ended: list[Build], sent: list[Any]
) -> None:
    """So a single message that arrives is enough for all, however many were lost."""
    builds = queue(base, cast.member, 4)
    tasks.run_build(builds[0].pk)
    while sent:
        task, pk = sent.pop(0)
        assert task == wake.Task.RUN_BUILD
        tasks.run_build(pk)
    assert ended == builds


@pytest.mark.slow
def test_a_person_may_have_so_many_builds_waiting(
    cast: Cast, base: BaseImage, settings: Any, sent: list[Any]
) -> None:
    settings.MAX_WAITING_BUILDS = 2
    member = Actor(cast.member)

    def create(name: str, actor: Actor = member, *, allow_source: bool = False) -> None:
        wanted = (PipRequirement("six"),)
        spec = ImageSpec("all", base.python_version, wanted, allow_source=allow_source)
        create_image(actor, name, spec)

    create("one")
    create("two")
    with pytest.raises(TooManyBuilds) as refused:
        create("three")
    assert str(refused.value) == (
        "You have 2 builds that wait or run, and 2 is the limit. "
        "Wait until some have ended, or cancel some."
    )
    assert (refused.value.status, refused.value.retry_after) == (429, 30)
    create("three", Actor(cast.viewer))
    revisions.cancel_build(Actor(cast.admin), Build.objects.get(image__name="one").image)
    create("four")

    settings.MAX_WAITING_BUILDS, settings.MAX_WAITING_SOURCE_BUILDS = 200, 1
    BuildHost.objects.create(name="able", queue="sources")
    create("five", allow_source=True)
    with pytest.raises(TooManyBuilds, match="1 builds from source"):
        create("six", allow_source=True)
    create("seven")


def test_the_forecast_tells_places_in_the_same_order(cast: Cast, base: BaseImage) -> None:
    many = queue(base, cast.viewer, 3)
    (lone,) = queue(base, cast.member, 1)
    outlooks = Forecast.read().by_image()
    places = {build.pk: outlooks[build.image_id].ahead for build in (*many, lone)}
    assert places == {many[0].pk: 0, lone.pk: 1, many[1].pk: 2, many[2].pk: 3}
