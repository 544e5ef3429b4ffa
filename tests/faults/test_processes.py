"""Processes that are killed or stopped in the middle of their work."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.instance import wait_for
from tests.faults.run import FAILED, READY, Run

pytestmark = [pytest.mark.faults, pytest.mark.slow]
PARTS = ("registry", "builds-1", "builds-2", "scheduler", "web", "aws", "postgres")
# Whose requests are made slow while a phase is looked for, and what stands in their paths.
SLOW = {
    "resolve": ("index", "/simple/"),
    "fetch": ("index", ".whl"),
    "push": ("aws", "/blobs/uploads/"),
    "verify": ("aws", "/manifests/"),
}
# Those that CI has time for.
SHORT = ("fetch", "push")
# Within which the build of a dead worker goes on.
GOES_ON_SECONDS = 15.0


def test_each_process_is_killed_at_random_moments(run: Run) -> None:
    run.load(6)
    for part in run.chance.sample(PARTS, len(PARTS)):
        time.sleep(run.chance.uniform(0.1, 2))
        run.instance.kill(part)
    run.fault_ended()


@pytest.mark.parametrize(
    "phase",
    [*(pytest.param(name, marks=[] if name in SHORT else pytest.mark.soak) for name in SLOW)],
)
def test_a_worker_is_killed_in_each_phase(run: Run, phase: str) -> None:
    where, path = SLOW[phase]
    instance = run.instance
    proxy = instance.index_proxy if where == "index" else instance.aws_proxy
    # Long enough for the phase to be written; the killed worker asks no more, and the next is not delayed.
    proxy.delay = lambda method, asked: 15.0 if path in asked else 0.0
    (name,) = run.load(1, prefix=phase)
    wait_for(lambda: instance.phase_of(name) == phase, 120, f"the phase {phase}")
    holder = instance.holder_of(name)
    instance.kill(holder)
    proxy.recover()
    run.fault_ended()
    killed = time.monotonic()
    again = "SELECT 1 FROM images_build b JOIN images_managedimage i ON i.id = b.image_id "
    wait_for(
        lambda: instance.rows(f"{again} WHERE i.name = %s AND b.attempts > 1", name),
        GOES_ON_SECONDS,
        "another worker goes on with the build",
    )
    assert time.monotonic() - killed < GOES_ON_SECONDS


@pytest.mark.soak
def test_a_worker_is_stopped_past_its_lease_and_continued(run: Run) -> None:
    instance = run.instance
    instance.index_proxy.delay = lambda method, asked: 15.0 if ".whl" in asked else 0.0
    (name,) = run.load(1, prefix="paused")
    wait_for(lambda: instance.phase_of(name) == "fetch", 120, "the phase fetch")
    holder = instance.holder_of(name)
    instance.signal(holder, signal.SIGSTOP)
    instance.index_proxy.recover()
    again = "SELECT 1 FROM images_build b JOIN images_managedimage i ON i.id = b.image_id "
    try:
        wait_for(
            lambda: instance.rows(f"{again} WHERE i.name = %s AND b.attempts > 1", name),
            GOES_ON_SECONDS + 5,
            "another worker goes on with the build",
        )
        time.sleep(run.chance.uniform(0, 3))
    finally:
        instance.signal(holder, signal.SIGCONT)
    run.fault_ended()


def test_a_worker_that_is_told_to_stop_hands_its_build_over(run: Run) -> None:
    instance = run.instance
    instance.index_proxy.delay = lambda method, asked: 1.0 if ".whl" in asked else 0.0
    names = run.load(2, prefix="handed")
    wait_for(lambda: any(map(instance.phase_of, names)), 120, "a build runs")
    for worker in ("builds-1", "builds-2"):
        instance.signal(worker, signal.SIGTERM)
    instance.index_proxy.recover()
    run.fault_ended()


@pytest.mark.soak
def test_a_build_that_kills_its_workers_ends_as_a_failure(run: Run) -> None:
    """Whatever it is in a build that kills, it must not go round for ever."""
    instance = run.instance
    instance.index_proxy.delay = lambda method, asked: 0.7 if ".whl" in asked else 0.0
    (name,) = run.load(1, prefix="deadly", ends=(FAILED, READY))
    killed = 0
    while killed < 4:
        wait_for(
            lambda: instance.phase_of(name) == "fetch" or not instance.phase_of(name), 120, "fetch"
        )
        for worker in ("builds-1", "builds-2"):
            instance.kill(worker)
        killed += 1
        time.sleep(GOES_ON_SECONDS)
        image = instance.image(name)
        if image and image["status"] in (FAILED, READY):
            break
    run.fault_ended()
