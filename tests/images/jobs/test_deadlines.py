"""Deadlines: of the queue, of each phase, of an attempt, of a call; and attempts that are repeated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from images.building.downloads import index_client
from images.errors import BuildTimedOut, FetchFailed, RegistryUnavailable, ResolutionFailed
from images.jobs import build as run
from images.jobs import sweep
from images.jobs.build_outcome import Product
from images.jobs.journal import Journal
from images.jobs.leased import Holder
from images.models import BaseImage, Build, BuildPhase, Instance, ManagedImage, Status
from images.models.lease import HandOver, WorkState
from images.queries.progress import waiting_for
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import Descriptor, digest_of
from ri_platform.deadlines import PHASES, phase_seconds
from ri_platform.env import Env
from tests import factories
from tests.cast import Cast
from tests.http_server import QuietHandler, address_of, serving


@pytest.fixture
def build(base: BaseImage) -> Build:
    factories.make_instance()
    image = factories.make_image("timely", base=base, status=Status.BUILDING_FIRST_TIME)
    return image.builds.get()


def ends_as(build: Build) -> tuple[str, str]:
    build.refresh_from_db()
    return build.state, build.error_code


def making(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[Build, Journal, Holder], Product]
) -> None:
    """Have builds made so; what claims them and records their ends is the real thing."""
    monkeypatch.setattr(run, "make", make)


def failing(error: Exception) -> Callable[[Build, Journal, Holder], Product]:
    def make(build: Build, journal: Journal, holder: Holder) -> Product:
        raise error

    return make


# --- queue, phases, attempts ------------------------------------------------------------------------------


def test_a_build_that_nobody_starts_fails_and_says_what_it_waited_for(
    build: Build, settings: Any
) -> None:
    ManagedImage.objects.update(
        repository_ready_at=None, repository_error="AWS refused ecr:CreateRepository."
    )
    long_ago = timezone.now() - timedelta(seconds=settings.QUEUE_SECONDS + 1)
    Build.objects.update(created_at=long_ago)
    sweep.fail_overdue()
    assert ends_as(build) == (WorkState.FAILED, "queue_timed_out")
    assert "AWS refused ecr:CreateRepository." in build.error_message
    assert ManagedImage.objects.get().status == Status.FAILED


def test_a_build_that_was_begun_and_handed_over_is_none_that_nobody_started(
    build: Build, settings: Any
) -> None:
    """Its worker was told to stop after longer than a build may wait for its start."""
    settings.QUEUE_SECONDS = 300
    held = Build.objects.claim(build.pk, 60)
    assert held is not None
    Build.objects.update(created_at=timezone.now() - timedelta(seconds=360))
    held.hand_over(counted=False)
    sweep.fail_overdue()
    assert ends_as(build) == (WorkState.QUEUED, "")


def test_a_build_that_was_given_back_for_its_repository_has_not_started(
    build: Build, settings: Any
) -> None:
    ManagedImage.objects.update(repository_ready_at=None)
    held = Build.objects.claim(build.pk, 60)
    assert held is not None
    run.give_back(held, Journal(held))
    Build.objects.update(created_at=timezone.now() - timedelta(seconds=settings.QUEUE_SECONDS + 1))
    sweep.fail_overdue()
    assert ends_as(build) == (WorkState.FAILED, "queue_timed_out")


def test_a_build_that_waits_for_less_goes_on_waiting(build: Build) -> None:
    sweep.fail_overdue()
    assert ends_as(build) == (WorkState.QUEUED, "")


@pytest.mark.parametrize("limited", ["phase", "attempt"])
def test_a_phase_or_an_attempt_that_does_not_end_is_ended(
    build: Build, settings: Any, monkeypatch: pytest.MonkeyPatch, limited: str
) -> None:
    if limited == "phase":
        settings.PHASE_SECONDS = {**PHASES, "fetch": 0}
    else:
        settings.BUILD_SECONDS = 0

    def make(build: Build, journal: Journal, holder: Holder) -> Product:
        journal.begin(BuildPhase.FETCH)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            holder.check()
            journal.check()
            time.sleep(0.01)
        raise AssertionError("the deadline was not noticed")

    making(monkeypatch, make)
    run.run(build.pk)
    assert ends_as(build) == (WorkState.FAILED, "build_timed_out")
    assert build.timings["fetch"]["failed"]
    assert ("Fetch" in build.error_message) is (limited == "phase")


def test_a_phase_that_is_one_long_call_is_told_while_it_lasts(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []

    def make(build: Build, journal: Journal, holder: Holder) -> Product:
        with journal.phase(BuildPhase.RESOLVE), journal.phase(BuildPhase.VERIFY):
            row = Build.objects.get(pk=build.pk)
            seen.append((row.phase, "verify" in row.timings))
        raise ResolutionFailed("That was all.")

    making(monkeypatch, make)
    run.run(build.pk)
    assert seen == [(BuildPhase.VERIFY, True)]


def test_phases_without_a_setting_keep_their_default() -> None:
    assert phase_seconds(Env({"RI_PHASE_SECONDS": "fetch=60"})) == {**PHASES, "fetch": 60}
    for text in ("bake=1", "fetch", "fetch=0", "fetch=x"):
        with pytest.raises(ImproperlyConfigured, match="RI_PHASE_SECONDS"):
            phase_seconds(Env({"RI_PHASE_SECONDS": text}))


# --- repetition -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_failure_that_may_heal_is_repeated_after_a_pause_that_grows(
    build: Build, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    making(monkeypatch, failing(RegistryUnavailable("The registry cannot be reached.")))
    for attempt, seconds in enumerate((10, 30), 1):
        before = timezone.now()
        run.run(build.pk)
        assert ends_as(build) == (WorkState.QUEUED, "")
        assert len(build.failed_attempts) == attempt
        assert build.not_before is not None
        assert seconds <= (build.not_before - before).total_seconds() < seconds + 5
        # Whoever is woken meanwhile leaves it alone, and so does the sweeper.
        assert not Build.objects.startable().exists()
        assert not Build.objects.startable().due().exists()
        Build.objects.update(not_before=timezone.now(), due_at=timezone.now())
        assert Build.objects.startable().due().exists()
    run.run(build.pk)
    assert ends_as(build) == (WorkState.FAILED, "registry_unavailable")
    assert ManagedImage.objects.get().status == Status.FAILED


@pytest.mark.parametrize(
    "error", [ResolutionFailed("There is no such library."), BuildTimedOut("x")]
)
def test_what_time_does_not_heal_is_not_repeated(
    build: Build, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    making(monkeypatch, failing(error))
    run.run(build.pk)
    assert ends_as(build)[0] == WorkState.FAILED
    assert build.failed_attempts == []


@pytest.mark.slow
def test_repetitions_are_no_deaths_of_workers(
    build: Build, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BUILD_MAX_ATTEMPTS = 1
    making(monkeypatch, failing(FetchFailed("The index cannot be reached.")))
    for _ in range(3):
        Build.objects.update(not_before=None)
        run.run(build.pk)
    assert ends_as(build) == (WorkState.FAILED, "fetch_failed")


@pytest.mark.slow
def test_failed_attempts_are_told_by_page_and_api(
    build: Build, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    making(monkeypatch, failing(FetchFailed("The index cannot be reached.", hint="Look at it.")))
    run.run(build.pk)
    build.refresh_from_db()
    said = waiting_for(build.image, build, Instance.objects.seen())
    assert said.startswith("Attempt 1 failed, and is repeated at ")
    assert said.endswith("The index cannot be reached.")
    page = f"/workspaces/{cast.workspace.pk}/settings/managed-images/image/timely"
    text = cast.client(cast.member).get(page).content.decode()
    assert "Attempt 1 failed. The index cannot be reached." in text


# --- calls ------------------------------------------------------------------------------------------------


@pytest.fixture
def hanging() -> Iterator[str]:
    """A server that takes requests and never answers."""
    released = threading.Event()

    class Hanging(QuietHandler):
        def do_GET(self) -> None:
            released.wait(60)

        do_HEAD = do_GET

    with serving(Hanging) as server:
        yield address_of(server)
        released.set()


@pytest.mark.slow
def test_a_registry_that_hangs_is_given_up_in_the_stated_time(hanging: str) -> None:
    begun = time.monotonic()
    with (
        RegistryClient(hanging, guard=str, timeout=0.5) as client,
        pytest.raises(RegistryUnavailable),
    ):
        client.head_manifest("some/where", "sha256:" + "0" * 64)
    # The first attempt, twice as long, and the attempt that was under way then.
    assert time.monotonic() - begun < 4 * 0.5 + 2


@pytest.fixture
def busy() -> Iterator[tuple[str, list[str]]]:
    """A registry that asks for patience whatever it is asked, and what it was asked."""
    asked: list[str] = []

    class Busy(QuietHandler):
        def do_POST(self) -> None:
            asked.append(self.command)
            self.send_response(503)
            self.send_header("Retry-After", "30")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET = do_POST

    with serving(Busy) as server:
        yield address_of(server), asked


def test_a_registry_that_asks_for_more_patience_than_a_call_has_is_given_up_at_once(
    busy: tuple[str, list[str]], tmp_path: Path
) -> None:
    """Neither a call nor the transfer that it is a part of is tried again."""
    address, asked = busy
    blob = Descriptor("application/octet-stream", digest_of(b"x"), 1)
    (tmp_path / "x").write_bytes(b"x")
    with RegistryClient(address, guard=str, timeout=10) as client:
        for transfer in (
            partial(client.upload_blob, "a/b", blob.digest, 1, tmp_path / "x"),
            partial(client.download_blob, "a/b", blob, tmp_path / "y"),
        ):
            with pytest.raises(RegistryUnavailable):
                transfer(check=lambda: None)
        with pytest.raises(RegistryUnavailable):
            client.has_blob("a/b", blob.digest)
    assert asked == ["POST", "GET", "HEAD"]


def test_a_wait_for_the_registry_ends_when_the_work_must(
    busy: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, asked = busy
    (tmp_path / "x").write_bytes(b"x")

    def check() -> None:
        if asked:
            raise HandOver

    with RegistryClient(address, guard=str, timeout=30) as client, pytest.raises(HandOver):
        client.upload_blob("a/b", digest_of(b"x"), 1, tmp_path / "x", check=check)
    assert asked == ["POST"]


def test_calls_to_indexes_take_their_limit_of_the_settings(settings: Any, tmp_path: Path) -> None:
    settings.CALL_SECONDS = 7
    with index_client() as client:
        assert (client.timeout.read, client.timeout.connect) == (7, 7)
