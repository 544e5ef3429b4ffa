"""Processes that are killed or stopped in the middle of their work."""

from __future__ import annotations

import signal
import threading
import time
from functools import partial

import pytest

from images.models import BuildPhase
from tests.faults.installation import SETTLE_SECONDS, wait_for
from tests.faults.instance import Instance
from tests.faults.phases import IN_SANDBOXES, SLOW, WHEELS, is_taken_over, is_under_way
from tests.faults.run import Run

pytestmark = [pytest.mark.faults, pytest.mark.slow]
PARTS = (
    "registry", "builds-1", "builds-2", "sources", "webhooks", "scheduler", "web", "aws", "postgres",
)  # fmt: skip
# Those that CI has time for.
SHORT = ("fetch", "push")


def is_left_alone(instance: Instance, name: str) -> bool:
    """Whether no worker holds the image's build any more, by its lease."""
    found = instance.rows(
        "SELECT 1 FROM images_build b JOIN images_managedimage i ON i.id = b.image_id "
        "WHERE i.name = %s AND b.lease_expires_at > now()",
        name,
    )
    return not found


def test_each_process_is_killed_at_random_moments(run: Run, instance: Instance) -> None:
    run.load(6)
    for part in run.chance.sample(PARTS, len(PARTS)):
        time.sleep(run.chance.uniform(0.1, 2))
        instance.kill(part)
    run.fault_ended()


@pytest.mark.parametrize(
    "phase",
    [*(pytest.param(name, marks=[] if name in SHORT else pytest.mark.soak) for name in SLOW)],
)
def test_a_worker_is_killed_in_each_phase(run: Run, instance: Instance, phase: str) -> None:
    where, pattern = SLOW[phase]
    proxy = instance.index_proxy if where == "index" else instance.aws_proxy
    # Long enough for the phase to be written; the killed worker asks no more, and the next is not delayed.
    proxy.slow_down(pattern, 8, once=phase == "layers")
    (name,) = run.load(1, prefix=phase, new=2)
    wait_for(lambda: is_under_way(instance, name, phase, 1), SETTLE_SECONDS, f"the phase {phase}")
    holder = instance.holder_of(name)
    instance.kill(holder)
    proxy.recover()
    run.fault_ended()
    killed = time.monotonic()
    wait_for(lambda: is_taken_over(instance, name), SETTLE_SECONDS, "another worker goes on")
    run.measured["a dead worker's build goes on"] = time.monotonic() - killed


def test_each_phase_has_its_fault() -> None:
    assert sorted((*SLOW, *IN_SANDBOXES)) == sorted(BuildPhase.values)


@pytest.mark.soak
def test_a_worker_is_stopped_past_its_lease_and_continued(run: Run, instance: Instance) -> None:
    instance.index_proxy.slow_down(WHEELS, 8)
    (name,) = run.load(1, prefix="paused")
    wait_for(lambda: is_under_way(instance, name, "fetch", 1), SETTLE_SECONDS, "the phase fetch")
    holder = instance.holder_of(name)
    instance.signal(holder, signal.SIGSTOP)
    instance.index_proxy.recover()
    try:
        wait_for(lambda: is_taken_over(instance, name), SETTLE_SECONDS, "another worker goes on")
        time.sleep(run.chance.uniform(0, 3))
    finally:
        instance.signal(holder, signal.SIGCONT)
    run.fault_ended()


@pytest.mark.soak
def test_an_image_is_removed_whose_worker_is_stopped_while_it_puts(
    run: Run, instance: Instance
) -> None:
    """Its repository stays until the worker goes on, so its manifest reaches no later image of the name."""
    arrived, stopped = threading.Event(), threading.Event()

    def delay(method: str, path: str) -> float:
        if method == "PUT" and path.endswith("/manifests/build-1"):
            arrived.set()
            stopped.wait(SETTLE_SECONDS)
        return 0.0

    instance.aws_proxy.delay = delay
    (name,) = run.load(1, prefix="removed")
    row = "SELECT 1 FROM images_managedimage WHERE name = %s"
    assert arrived.wait(SETTLE_SECONDS)
    holder = instance.holder_of(name)
    instance.signal(holder, signal.SIGSTOP)
    stopped.set()
    try:
        assert run.ask(name, "remove").status_code == 200
        assert run.ask(name, "delete").status_code == 200
        wait_for(lambda: is_left_alone(instance, name), SETTLE_SECONDS, "its lease has run out")
        time.sleep(run.chance.uniform(0, 5))
        assert instance.rows(row, name)
    finally:
        instance.signal(holder, signal.SIGCONT)
    run.fault_ended()
    wait_for(lambda: not instance.rows(row, name), SETTLE_SECONDS, "the name is free")
    # From here on it is another image.
    del run.asked[name]
    run.create(name, instance.some_libraries())


def test_a_worker_that_is_told_to_stop_hands_its_build_over(run: Run, instance: Instance) -> None:
    instance.index_proxy.slow_down(WHEELS, 1)
    names = run.load(2, prefix="handed")
    wait_for(lambda: any(map(instance.phase_of, names)), SETTLE_SECONDS, "a build runs")
    for worker in ("builds-1", "builds-2"):
        instance.signal(worker, signal.SIGTERM)
    instance.index_proxy.recover()
    run.fault_ended()


@pytest.mark.soak
def test_webhook_messages_are_refused_and_their_worker_is_killed(
    run: Run, instance: Instance
) -> None:
    """Each message arrives all the same: after a pause, or once the lease of the dead worker is over."""
    instance.receiver.refuse()
    run.load(2, prefix="told")
    instance.settle()
    instance.receiver.hold()
    assert instance.receiver.holds.wait(SETTLE_SECONDS)
    instance.kill("webhooks")
    instance.receiver.recover()
    run.fault_ended()
    instance.await_deliveries()


@pytest.mark.soak
def test_a_build_that_kills_its_workers_ends_as_a_failure(run: Run, instance: Instance) -> None:
    """Whatever it is in a build that kills, it must not go round for ever."""
    instance.index_proxy.slow_down(WHEELS, 8)
    (name,) = run.load(1, prefix="deadly", failures=("worker_died",), must_fail=True)
    for attempt in (1, 2, 3):
        wait_for(
            partial(is_under_way, instance, name, "fetch", attempt),
            SETTLE_SECONDS,
            f"attempt {attempt}",
        )
        for worker in ("builds-1", "builds-2"):
            instance.kill(worker)
    instance.index_proxy.recover()
    run.fault_ended()
