"""Whose repository is made next, whichever message woke the registry worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images import tasks, wake
from images.errors import RegistryUnavailable
from images.jobs import build, repositories, repository_turns
from images.models import BaseImage, ManagedImage
from images.models.lane import Lane
from images.models.lease import WorkState
from images.operations.images import create_image
from images.registry import connection
from images.spec import ImageSpec
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import User

Sent = list[tuple[str, int]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The repositories that were made, in their order; one named `unlucky` is refused."""
    factories.make_instance()
    names: list[str] = []

    def make(control: Any, repository: str, ours: bool = False) -> None:
        names.append(repository.rpartition("/")[2])
        if names[-1] == "unlucky":
            raise RegistryUnavailable("AWS is away.")

    monkeypatch.setattr(repositories, "make_repository", make)
    monkeypatch.setattr(connection, "control", lambda: None)
    return names


def ask(user: User, *names: str) -> list[ManagedImage]:
    return [create_image(Actor(user), name, ImageSpec("all", "3.11")) for name in names]


@pytest.mark.slow
def test_a_lone_repository_is_next_whatever_somebody_else_has_queued(
    cast: Cast, base: BaseImage, made: list[str], sent: Sent
) -> None:
    many = ask(cast.manager, *(f"many-{number}" for number in range(5)))
    (lone,) = ask(cast.member, "lone")
    tasks.prepare_repository(many[0].pk)
    tasks.prepare_repository(many[1].pk)
    assert made == ["many-0", "lone"]
    assert (wake.Task.RUN_BUILD, lone.builds.get().pk) in sent
    # Its own message finds it done and does what is next; its build is woken again, which is harmless.
    tasks.prepare_repository(lone.pk)
    assert made == ["many-0", "lone", "many-1"]


@pytest.mark.slow
def test_one_message_is_enough_for_all(
    cast: Cast, base: BaseImage, made: list[str], sent: Sent
) -> None:
    images = ask(cast.manager, "a-1", "a-2", "a-3")
    tasks.prepare_repository(images[2].pk)
    for task, pk in sent:
        if task == wake.Task.PREPARE_REPOSITORY:
            tasks.prepare_repository(pk)
    assert made == ["a-1", "a-2", "a-3"]


def test_an_image_whose_build_has_begun_waits_for_its_repository_all_the_same(
    cast: Cast, base: BaseImage, made: list[str], sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A builds worker claims the build while the registry worker looks whose turn it is."""
    (image,) = ask(cast.member, "begun")

    look = repository_turns.prepare_next

    def claim_first(named: int = 0) -> int | None:
        assert build.claim(image.builds.get().pk, Lane.BUILDS) is not None
        return look(named)

    monkeypatch.setattr(repository_turns, "prepare_next", claim_first)
    tasks.prepare_repository(image.pk)
    assert made == ["begun"]


@pytest.mark.slow
def test_what_aws_refused_keeps_nobody_waiting_and_is_tried_when_its_time_has_come(
    cast: Cast, base: BaseImage, made: list[str], sent: Sent
) -> None:
    (unlucky,) = ask(cast.manager, "unlucky")
    (other,) = ask(cast.member, "other")
    tasks.prepare_repository(unlucky.pk)
    tasks.prepare_repository(other.pk)
    assert made == ["unlucky", "other"]
    tasks.prepare_repository(other.pk)
    assert made == ["unlucky", "other"]
    # An operator, or the sweeper, names it.
    tasks.prepare_repository(unlucky.pk)
    ManagedImage.objects.update(repository_due_at=timezone.now() - timedelta(seconds=1))
    tasks.prepare_repository(other.pk)
    assert made == ["unlucky", "other", "unlucky", "unlucky"]


def test_tidying_repositories_waits_for_a_new_one(
    cast: Cast, base: BaseImage, made: list[str], sent: Sent
) -> None:
    ask(cast.manager, "fresh")
    tasks.tidy_repository(0)
    assert made == ["fresh"]


@pytest.mark.slow
def test_an_imports_repository_waits_for_no_images(
    cast: Cast, base: BaseImage, made: list[str], sent: Sent
) -> None:
    images = ask(cast.manager, "before-1", "before-2")
    factories.make_base_image(
        state=WorkState.QUEUED, image_type="nlp", repository="", repository_ready_at=None
    )
    tasks.prepare_repository(images[0].pk)
    assert made == ["nlp-3.11", "before-1"]


@pytest.mark.slow
def test_a_crowded_lane_gets_no_more_messages(
    cast: Cast,
    base: BaseImage,
    made: list[str],
    sent: Sent,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    monkeypatch.setattr(wake, "ENOUGH", 2)
    with django_capture_on_commit_callbacks(execute=True):
        images = ask(cast.manager, *(f"crowd-{number}" for number in range(4)))
    for image in images:
        tasks.prepare_repository(image.pk)
    woken = [pk for task, pk in sent if task == wake.Task.RUN_BUILD]
    assert woken == [image.builds.get().pk for image in images[:2]]
    # Whoever names a build whose repository is there wakes it all the same.
    tasks.prepare_repository(images[3].pk)
    assert sent[-1] == (wake.Task.RUN_BUILD, images[3].builds.get().pk)
