"""A build is claimed once, held under a lease, and taken over only when the lease has run out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from prometheus_client import REGISTRY

from images.attestations import Library
from images.jobs import build as run
from images.jobs import turns
from images.jobs.build_outcome import Product, succeed
from images.jobs.journal import Journal
from images.jobs.leased import Holder, carry_out, hold_lease
from images.models import (
    Attestation,
    BaseImage,
    Build,
    BuildPhase,
    ImportCheck,
    ManagedImage,
    Status,
)
from images.models.lane import Lane
from images.models.lease import LeaseLost, WorkState
from images.operations import removal
from ri_platform.errors import DomainError
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor

PRODUCT = Product("sha256:" + "a" * 64, "sha256:" + "b" * 64, 1, 1, [Library("numpy", "2.0")], [])


@pytest.fixture
def build(base: BaseImage) -> Build:
    image = factories.make_image("leased", base=base, status=Status.BUILDING_FIRST_TIME)
    return image.builds.get()


def test_only_one_worker_claims_it(build: Build) -> None:
    assert Build.objects.claim(build.pk, 30) is not None
    assert Build.objects.claim(build.pk, 30) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_of_many_workers_at_once_one_wins(build: Build) -> None:
    won: list[Build | None] = []
    barrier = threading.Barrier(8)

    def claim() -> None:
        try:
            barrier.wait()
            won.append(Build.objects.startable().claim(build.pk, 30))
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in won if one is not None]) == 1


def test_a_dead_workers_build_is_taken_over_and_the_dead_one_writes_nothing(build: Build) -> None:
    first = Build.objects.claim(build.pk, 30)
    assert first is not None
    Build.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    second = Build.objects.claim(build.pk, 30)
    assert second is not None
    assert (second.attempts, second.lease_token) == (2, first.lease_token + 1)
    with pytest.raises(LeaseLost):
        first.write(phase=BuildPhase.PUSH)
    with pytest.raises(LeaseLost):
        first.renew(30)
    first.lock = second.lock = "lock"
    with pytest.raises(LeaseLost):
        succeed(first, PRODUCT, Journal(first))
    assert ManagedImage.objects.get(pk=build.image_id).current_build is None


def test_a_build_whose_worker_dies_again_and_again_fails(build: Build, settings: Any) -> None:
    settings.BUILD_MAX_ATTEMPTS = 2
    past = timezone.now() - timedelta(seconds=1)
    Build.objects.update(state=WorkState.RUNNING, lease_expires_at=past, deaths=1)
    run.run(build.pk)
    build.refresh_from_db()
    assert (build.state, build.error_code) == (WorkState.FAILED, "worker_died")
    assert "died 2 times" in build.error_message


def test_work_that_waits_for_base_or_repository_is_not_started(build: Build) -> None:
    ManagedImage.objects.update(repository_ready_at=None)
    Build.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert Build.objects.startable().claim(build.pk, 30) is None


class Refused(DomainError):
    code = "refused"


BROKE = Refused("It broke on our side.", hint="Tell somebody.")


def held(build: Build) -> Build:
    claimed = Build.objects.claim(build.pk, 30)
    assert claimed is not None
    return claimed


def raises(error: Exception) -> Callable[[Holder], None]:
    def run(holder: Holder) -> None:
        raise error

    return run


def test_the_error_of_leased_work_is_recorded_as_its_end(build: Build) -> None:
    work = held(build)
    error = Refused("No.", hint="Ask otherwise.")
    assert carry_out(work, 30, raises(error), fail=work.fail, broke=BROKE)
    build.refresh_from_db()
    assert (build.state, build.error_code) == (WorkState.FAILED, "refused")
    assert (build.error_message, build.error_hint) == ("No.", "Ask otherwise.")
    assert build.lease_expires_at is None
    assert build.finished_at is not None


def test_a_defect_in_leased_work_is_logged_and_told_as_ours(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    work = held(build)
    with caplog.at_level("ERROR"):
        assert carry_out(work, 30, raises(KeyError("boom")), fail=work.fail, broke=BROKE)
    build.refresh_from_db()
    assert (build.state, build.error_message) == (WorkState.FAILED, "It broke on our side.")
    assert "The build leased build 1 broke" in caplog.text
    assert "KeyError: 'boom'" in caplog.text


def test_a_full_disk_is_told_as_one(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    """Linux has a device that is always full (full(4))."""

    def write(holder: Holder) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"a layer")

    work = held(build)
    assert carry_out(work, 30, write, fail=work.fail, broke=BROKE)
    build.refresh_from_db()
    assert (build.state, build.error_code) == (WorkState.FAILED, "disk_full")
    assert build.error_message == "The disk of the worker is full."
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "error", [LeaseLost(), Refused("No."), KeyError("boom")], ids=["stopped", "refused", "broke"]
)
def test_work_that_was_taken_over_writes_no_end(build: Build, error: Exception) -> None:
    work = held(build)
    Build.objects.update(lease_token=work.lease_token + 1)
    assert not carry_out(work, 30, raises(error), fail=work.fail, broke=BROKE)
    build.refresh_from_db()
    assert (build.state, build.error_code) == (WorkState.RUNNING, "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_work_that_ends_well_while_its_lease_is_renewed_is_not_counted_as_lost(
    build: Build,
) -> None:
    work = held(build)

    def end_under_a_renewal(holder: Holder) -> None:
        with transaction.atomic():
            work.succeed(lock="lock", manifest_digest=PRODUCT.manifest_digest)
            assert until(renewal_waits)
        # The renewal goes on now, and finds the work ended.
        assert until(lambda: lost(holder))

    before = lost_leases()
    assert carry_out(work, 30, end_under_a_renewal, fail=work.fail, broke=BROKE)
    assert lost_leases() == before
    build.refresh_from_db()
    assert build.state == WorkState.SUCCEEDED


def renewal_waits() -> bool:
    """Whether a connection of this database waits for a row of a build."""
    with connection.cursor() as cursor:
        # A transaction sees what it saw first.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock' AND query LIKE 'UPDATE \"images_build\"%'"
        )
        (number,) = cursor.fetchone()
    return bool(number)


def lost_leases() -> float:
    return REGISTRY.get_sample_value("ri_leases_lost_total", {"kind": "build"}) or 0.0


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_work_that_is_lost_is_counted(build: Build) -> None:
    work, before = held(build), lost_leases()
    Build.objects.update(lease_token=work.lease_token + 1)

    def notice(holder: Holder) -> None:
        assert until(lambda: lost(holder))
        holder.check()

    assert not carry_out(work, 30, notice, fail=work.fail, broke=BROKE)
    assert lost_leases() == before + 1


def test_a_lease_that_ran_out_is_still_held_while_nobody_claims_the_work(build: Build) -> None:
    work = held(build)
    work.write(lease_expires_at=timezone.now() - timedelta(minutes=1))
    work.renew(30)
    work.write(lease_expires_at=timezone.now() - timedelta(minutes=1))
    work.fail(Refused("No."))
    build.refresh_from_db()
    assert build.error_code == "refused"


def test_a_worker_that_stops_hands_its_work_over_at_once(build: Build, told_to_stop: None) -> None:
    work = held(build)
    assert not carry_out(work, 30, lambda holder: holder.check(), fail=work.fail, broke=BROKE)
    build.refresh_from_db()
    assert (build.state, build.lease_expires_at) == (WorkState.QUEUED, None)
    # It was not the work that ended the attempt.
    assert (build.attempts, build.deaths) == (1, 0)
    assert Build.objects.due().filter(pk=build.pk).exists()
    with pytest.raises(LeaseLost):
        work.write(phase=BuildPhase.PUSH)


def test_a_worker_that_stops_gives_its_work_some_time_first(
    build: Build, told_to_stop: None, settings: Any
) -> None:
    settings.STOP_SECONDS = 60
    work = held(build)
    assert carry_out(work, 30, lambda holder: holder.check(), fail=work.fail, broke=BROKE)


def test_work_of_any_kind_ends_once_its_time_is_over(build: Build, settings: Any) -> None:
    settings.BUILD_SECONDS = 0
    work = held(build)
    assert carry_out(work, 30, lambda holder: holder.check(), fail=work.fail, broke=BROKE)
    build.refresh_from_db()
    assert (build.state, build.error_code) == (WorkState.FAILED, "build_timed_out")


def test_a_worker_that_stops_begins_nothing(build: Build, told_to_stop: None) -> None:
    assert turns.claim_next(Lane.BUILDS) is None
    build.refresh_from_db()
    assert build.state == WorkState.QUEUED


@pytest.mark.slow
def test_a_worker_that_stops_begins_nothing_that_nobody_waits_for(
    base: BaseImage, told_to_stop: None
) -> None:
    made = factories.make_image("ready", base=base).builds.get()
    check = ImportCheck.objects.create(build=made, manifest_digest=made.manifest_digest)
    attestation = Attestation.objects.create(build=made)
    turns.take_check()
    turns.take_attestation(attestation.pk)
    for work in (check, attestation):
        work.refresh_from_db()
        assert (work.state, work.attempts) == (WorkState.QUEUED, 0)


def test_a_build_that_is_handed_over_says_so_in_its_log(
    build: Build, told_to_stop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(build: Build, journal: Journal, holder: Holder) -> Product:
        holder.check()
        return PRODUCT

    with monkeypatch.context() as patch:
        patch.setattr(run, "make", make)
        run.run(build.pk)
    text = "".join(chunk.text for chunk in build.log_chunks.all())
    assert text == "This worker was told to stop: another one goes on with the build.\n"


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_was_away_is_no_failure_of_the_work(
    build: Build, error: type[Exception]
) -> None:
    work = held(build)
    gone = raises(error("the connection is closed"))
    assert not carry_out(work, 30, gone, fail=work.fail, broke=BROKE)
    build.refresh_from_db()
    # A death all the same, so that work which breaks the database ends.
    assert (build.state, build.deaths, build.error_code) == (WorkState.QUEUED, 1, "")


def test_a_dead_workers_work_is_due_once_its_lease_has_run_out(build: Build) -> None:
    assert Build.objects.claim(build.pk, 30) is not None
    assert not Build.objects.due().exists()
    Build.objects.update(lease_expires_at=timezone.now() - timedelta(milliseconds=1))
    assert Build.objects.due().get() == build


def test_success_clears_what_an_attempt_before_it_said(base: BaseImage) -> None:
    BaseImage.objects.update(
        state=WorkState.RUNNING, is_current=False, lease_expires_at=timezone.now(),
        error_code="refused", error_message="No.", error_hint="Ask otherwise.",
    )  # fmt: skip
    base.refresh_from_db()
    base.succeed()
    base.refresh_from_db()
    assert (base.state, base.lease_expires_at) == (WorkState.SUCCEEDED, None)
    assert (base.error_code, base.error_message, base.error_hint) == ("", "", "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_the_lease_is_renewed_while_the_work_lasts(build: Build) -> None:
    # Long enough for a busy machine to renew it in time.
    held = Build.objects.claim(build.pk, 2)
    assert held is not None
    with hold_lease(held, 2) as holder:
        time.sleep(3)
        holder.check()
        assert not Build.objects.claimable().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_removing_the_image_stops_its_builder(build: Build, cast: Cast) -> None:
    held = Build.objects.claim(build.pk, 30)
    assert held is not None
    with hold_lease(held, 30) as holder:
        removal.remove_image(Actor(cast.admin), "leased")
        assert until(lambda: lost(holder))


def lost(holder: Holder) -> bool:
    try:
        holder.check()
    except LeaseLost:
        return True
    return False


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_the_log_is_kept_in_pieces_without_control_characters(build: Build) -> None:
    held = Build.objects.claim(build.pk, 30)
    assert held is not None
    journal = Journal(held)
    with journal.phase(BuildPhase.RESOLVE):
        journal.line("one \x1b[31mred\x1b[0m")
    journal.line("two")
    journal.flush()
    text = "".join(chunk.text for chunk in held.log_chunks.all())
    assert text == "── Resolve\none [31mred[0m\ntwo\n"
    assert held.timings["resolve"]["seconds"] >= 0
