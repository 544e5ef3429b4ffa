"""Operators send work that is due to the workers of its own queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from images import wake
from images.models import BaseImage, Build, BuildReason, ManagedImage, Status, TaskDue
from images.models.lease import WorkState
from images.operations import due_tasks
from ri_platform.errors import Conflict
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent


@pytest.fixture
def image(base: BaseImage) -> ManagedImage:
    return factories.make_image("churn", base=base)


@pytest.fixture
def woken(
    cast: Cast, sent: list[tuple[wake.Task, int]], django_capture_on_commit_callbacks: Any
) -> Callable[[], list[tuple[wake.Task, int]]]:
    """Wakes a worker for everything that is due, and returns the messages."""

    def wake_all() -> list[tuple[wake.Task, int]]:
        with django_capture_on_commit_callbacks(execute=True):
            for due in TaskDue.objects.all():
                due_tasks.wake_task(Actor(cast.admin), due)
        return sent

    return wake_all


@pytest.mark.parametrize("reason", [BuildReason.CREATE, BuildReason.REBUILD, BuildReason.UPGRADE])
@pytest.mark.parametrize(
    ("allow_source", "task"),
    [(False, wake.Task.RUN_BUILD), (True, wake.Task.RUN_SOURCE_BUILD)],
)
def test_a_build_is_sent_to_the_queue_of_its_spec(
    allow_source: bool, task: wake.Task, reason: BuildReason, image: ManagedImage, woken: Any
) -> None:
    assert image.current_build is not None
    base, spec = image.current_build.base_image, replace(image.spec, allow_source=allow_source)
    build = factories.make_build(
        image, base, Status.BUILDING_FIRST_TIME, number=2, spec=spec, reason=reason
    )
    assert woken() == [(task, build.pk)]


@pytest.mark.parametrize(
    ("allow_source", "task"),
    [(False, wake.Task.RESOLVE_ALTERATION), (True, wake.Task.RESOLVE_SOURCE_ALTERATION)],
)
def test_an_alteration_is_sent_to_the_queue_of_its_spec(
    allow_source: bool, task: wake.Task, image: ManagedImage, woken: Any
) -> None:
    spec = replace(image.spec, allow_source=allow_source)
    proposed = factories.make_alteration(image, state=WorkState.QUEUED, spec=spec)
    assert woken() == [(task, proposed.pk)]


def test_a_build_that_is_gone_meanwhile_is_sent_to_nobody(
    cast: Cast, base: BaseImage, image: ManagedImage
) -> None:
    build = factories.make_build(image, base, Status.BUILDING_FIRST_TIME, number=2)
    due = TaskDue.objects.get()
    Build.objects.filter(pk=build.pk).delete()
    with pytest.raises(Conflict, match="no longer there"):
        due_tasks.wake_task(Actor(cast.admin), due)
    assert not AuditEvent.objects.filter(event="task.woken").exists()
