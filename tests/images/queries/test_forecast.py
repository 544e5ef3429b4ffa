"""Queue position and expected time, from what recent builds were measured at."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from images.models import BaseImage, Build, BuildReason, ManagedImage, Status
from images.models.lease import WorkState
from images.queries.forecast import Forecast, Outlook, about
from tests import factories
from tests.cast import Cast


@pytest.fixture
def measured(cast: Cast, base: BaseImage) -> datetime:
    """Three builds of 30 s, whose push began after 20 s, and three upgrades of 2 s."""
    now = timezone.now()
    for number in range(6):
        upgrade = number % 2 == 1
        image = factories.make_image(f"done-{number}", base=base)
        begun = now - timedelta(hours=1)
        whole, push = (2, 1) if upgrade else (30, 20)
        timings = {
            "resolve": {"started_at": begun.isoformat(), "seconds": 1.0},
            "push": {"started_at": (begun + timedelta(seconds=push)).isoformat(), "seconds": 1.0},
        }
        image.builds.update(
            reason=BuildReason.UPGRADE if upgrade else BuildReason.CREATE,
            started_at=begun, finished_at=begun + timedelta(seconds=whole), timings=timings,
        )  # fmt: skip
    return now


def waiting(name: str, base: BaseImage, **values: Any) -> Build:
    image = factories.make_image(name, base=base, status=Status.BUILDING_FIRST_TIME, **values)
    return image.builds.get()


def outlook(build: Build) -> Outlook:
    return Forecast.read().by_image()[build.image_id]


@pytest.mark.slow
def test_without_measures_only_the_place_is_told(cast: Cast, base: BaseImage) -> None:
    first, second = waiting("first", base), waiting("second", base)
    assert (outlook(first).place, outlook(first).left) == ("It is the next to be built.", "")
    assert outlook(second).place == "1 build is before it."


@pytest.mark.slow
def test_the_expected_time_grows_with_the_queue_and_falls_with_builders(
    measured: datetime, base: BaseImage
) -> None:
    builds = [waiting(f"queued-{number}", base) for number in range(3)]
    assert [outlook(build).seconds for build in builds] == [30, 60, 90]
    assert outlook(builds[2]).brief == "2 before it, about 2 min"
    for number in range(2):
        running = waiting(f"running-{number}", base)
        Build.objects.filter(pk=running.pk).update(
            state=WorkState.RUNNING, lease_expires_at=timezone.now() + timedelta(minutes=1)
        )
    # Both builders have begun just now, so the queue moves after 30 s, by two at a time.
    assert [outlook(build).seconds for build in builds] == [60, 75, 90]


@pytest.mark.slow
def test_a_running_build_is_told_by_the_phase_it_is_in(measured: datetime, base: BaseImage) -> None:
    build = waiting("running", base)
    now = timezone.now()
    Build.objects.filter(pk=build.pk).update(
        state=WorkState.RUNNING, phase="push", lease_expires_at=now + timedelta(minutes=1),
        timings={
            "resolve": {"started_at": (now - timedelta(seconds=50)).isoformat(), "seconds": 1.0},
            "push": {"started_at": (now - timedelta(seconds=4)).isoformat(), "seconds": None},
        },
    )  # fmt: skip
    found = outlook(build)
    assert found.seconds == pytest.approx(6, abs=3)
    assert found.brief == "Push, about 10 s left"
    behind = outlook(waiting("behind", base))
    assert behind.ahead == 0
    assert behind.seconds == pytest.approx(36, abs=3)


@pytest.mark.slow
def test_people_are_served_before_the_platforms_own_upgrades(
    measured: datetime, base: BaseImage
) -> None:
    upgrade = waiting("upgrade", base, reason=BuildReason.UPGRADE)
    asked = waiting("asked", base)
    assert outlook(asked).ahead == 0
    assert (outlook(upgrade).ahead, outlook(upgrade).seconds) == (1, 32)


@pytest.mark.slow
def test_what_waits_for_something_else_stands_in_no_queue(
    measured: datetime, base: BaseImage
) -> None:
    coming = factories.make_base_image(image_type="nlp", state=WorkState.QUEUED)
    blocked, asked = waiting("blocked", coming), waiting("asked", base)
    assert (outlook(blocked).place, outlook(blocked).left) == ("", "")
    assert outlook(asked).ahead == 0


@pytest.mark.slow
def test_the_page_and_the_pane_tell_it(
    cast: Cast, measured: datetime, base: BaseImage, django_assert_max_num_queries: Any
) -> None:
    waiting("first", base)
    waiting("second", base)
    client = cast.client(cast.admin)
    page = client.get(
        reverse("image", kwargs={"workspace_id": cast.workspace.pk, "name": "second"})
    ).content.decode()
    told = "Waiting for a builder. 1 build is before it. It should be ready in about 1 min."
    assert told in " ".join(page.split())
    # The rows are new to this process; the next page of them takes one statement less.
    with django_assert_max_num_queries(17):
        pane = client.get(reverse("images", kwargs={"workspace_id": cast.workspace.pk}))
    assert b"Next, about 30 s" in pane.content
    ManagedImage.objects.filter(name="first").delete()
    pane = client.get(reverse("images", kwargs={"workspace_id": cast.workspace.pk}))
    assert b"Next, about 30 s" in pane.content


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "a few seconds"), (11, "about 20 s"), (51, "about 1 min"), (61, "about 2 min"),
     (7200, "about 2 h")],
)  # fmt: skip
def test_times_are_told_generously(seconds: float, words: str) -> None:
    assert about(seconds) == words
