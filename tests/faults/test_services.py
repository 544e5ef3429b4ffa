"""PostgreSQL, the local AWS, the index, the broker and the disk fail."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.asked import FAILED
from tests.faults.installation import SETTLE_SECONDS, wait_for
from tests.faults.instance import Instance
from tests.faults.proxy import Fault
from tests.faults.run import Run
from tests.needs import needs

pytestmark = [pytest.mark.faults, pytest.mark.slow]
AWAY_SECONDS = 60.0
QUEUES = ("registry", "builds", "sources", "webhooks")
# The codes that a failure of the registry, of the index and of a disk may be told by.
REGISTRY = ("registry_unavailable",)
INDEX = ("fetch_failed", "resolution_failed")
DISK = ("disk_full",)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGQUIT, id="immediate"),
        pytest.param(signal.SIGKILL, id="killed", marks=pytest.mark.soak),
    ],
)
def test_postgresql_is_stopped_and_restarted(
    run: Run, instance: Instance, how: signal.Signals
) -> None:
    run.load(4, prefix="before")
    time.sleep(run.chance.uniform(0.2, 3))
    # SIGQUIT is PostgreSQL's immediate shutdown.
    os.kill(instance.postmaster, how)
    run.load(2, prefix="meanwhile")
    run.fault_ended()


@pytest.mark.soak
def test_postgresql_is_recovered_as_from_a_backup(run: Run, instance: Instance) -> None:
    """It goes on upon a new timeline, as after a failover: builds go on, too."""
    run.load(4, prefix="before")
    time.sleep(run.chance.uniform(0.2, 3))
    instance.held_down.add("postgres")
    os.kill(instance.postmaster, signal.SIGQUIT)
    data = instance.folder / "postgres"
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write("restore_command = 'false'\n")
    (data / "recovery.signal").touch()
    instance.held_down.discard("postgres")
    run.load(2, prefix="after")
    run.fault_ended()
    prepared = "SELECT count(*) FROM workspaces_auditevent WHERE event = 'registry.restored'"
    timeline = "SELECT timeline_id - 1 FROM pg_control_checkpoint()"
    wait_for(
        lambda: instance.rows(prepared) == instance.rows(timeline),
        SETTLE_SECONDS,
        "it is prepared once for each recovery",
    )


@pytest.mark.soak
def test_postgresql_and_the_broker_in_it_are_away_for_a_minute(
    run: Run, instance: Instance
) -> None:
    run.load(4, prefix="before")
    time.sleep(run.chance.uniform(0.2, 3))
    instance.held_down.add("postgres")
    os.kill(instance.postmaster, signal.SIGQUIT)
    time.sleep(AWAY_SECONDS)
    instance.held_down.discard("postgres")
    run.load(1, prefix="after")
    run.fault_ended()


def test_the_local_aws_is_killed_for_a_while(run: Run, instance: Instance) -> None:
    """For less than builds are repeated, so that none fails."""
    run.load(4)
    time.sleep(run.chance.uniform(0.2, 2))
    instance.held_down.add("aws")
    instance.kill("aws")
    time.sleep(run.chance.uniform(1, 10))
    instance.held_down.discard("aws")
    run.fault_ended()


@pytest.mark.soak
def test_the_local_aws_is_paused(run: Run, instance: Instance) -> None:
    run.load(4)
    time.sleep(run.chance.uniform(0.2, 2))
    instance.signal("aws", signal.SIGSTOP)
    try:
        time.sleep(run.chance.uniform(2, 15))
    finally:
        instance.signal("aws", signal.SIGCONT)
    run.fault_ended()


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param((Fault.TOO_MANY, Fault.BROKEN, Fault.UNAVAILABLE), id="answers"),
        pytest.param(
            (Fault.RESET, Fault.LOST_ANSWER, Fault.TRUNCATE),
            id="connections",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_the_registry_fails_now_and_then(
    run: Run, instance: Instance, faults: tuple[Fault, ...]
) -> None:
    """One request of twenty: attempts with pauses bear it, but for the worst of luck."""
    with instance.aws_proxy.failing(*faults, share=0.05):
        run.load(5, failures=REGISTRY, ready=0.8)
        instance.settle()
    run.fault_ended()


@pytest.mark.soak
def test_the_registry_fails_wholly_for_a_while(run: Run, instance: Instance) -> None:
    everything = (Fault.TOO_MANY, Fault.BROKEN, Fault.RESET, Fault.TRUNCATE)
    with instance.aws_proxy.failing(*everything):
        run.load(4)
        time.sleep(run.chance.uniform(5, 20))
    run.fault_ended()


@pytest.mark.soak
def test_the_registry_hangs_for_a_while(run: Run, instance: Instance) -> None:
    run.load(2)
    with instance.aws_proxy.failing(Fault.HANG):
        run.load(2, prefix="hung")
        time.sleep(run.chance.uniform(5, 30))
    run.fault_ended()


@pytest.mark.soak
def test_the_index_fails_now_and_then(run: Run, instance: Instance) -> None:
    faults = (Fault.UNAVAILABLE, Fault.RESET, Fault.TRUNCATE)
    with instance.index_proxy.failing(*faults, share=0.1):
        run.load(4, failures=INDEX, ready=0.7)
        instance.settle()
    run.fault_ended()


def test_the_queues_are_emptied(run: Run, instance: Instance) -> None:
    run.load(6)
    for _ in range(3):
        time.sleep(run.chance.uniform(0, 0.5))
        for queue in QUEUES:
            instance.rows("SELECT pgmq.purge_queue(%s)", queue)
    run.fault_ended()


@pytest.mark.soak
@needs("root")
def test_the_workers_disk_is_full(run: Run, instance: Instance, tmp_path: Path) -> None:
    with small_disk(instance) as filler:
        filler.write_bytes(b"\0" * 1)
        fill(filler)
        names = run.load(2, prefix="full", failures=DISK, must_fail=True)
        wait_for(
            lambda: all((instance.image(name) or {})["status"] == FAILED for name in names),
            SETTLE_SECONDS,
            "the builds end",
        )
        filler.unlink()
        run.load(2, prefix="room")
        instance.settle()
        # The disk goes with what is on it, which is another fault than a full one.
        instance.await_attestations()
    run.fault_ended()


class small_disk:  # noqa: N801  (a context manager)
    """Put a small tmpfs in place of the workers' cache; gives the path of a file that fills it."""

    def __init__(self, instance: Instance) -> None:
        self._cache = instance.folder / "cache"

    def __enter__(self) -> Path:
        self._cache.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(self._cache)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"This machine lets nobody mount a tmpfs: {done.stderr.strip()}")
        return self._cache / "filler"

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self._cache)], check=False)


def fill(path: Path) -> None:
    """Write until the disk is full, and leave a few pages."""
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - 8192))
