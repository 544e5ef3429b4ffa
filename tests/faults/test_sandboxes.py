"""Workers that are killed while other people's code, or a package system, runs for them in a sandbox.

What the sandbox consisted of ends with its worker: processes, control groups, namespaces with their mounts,
work folders.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.installation import SETTLE_SECONDS, Installation, wait_for
from tests.faults.instance import Instance, running_instance
from tests.faults.leftovers import Sandboxes, mounts_below, sandboxes_of
from tests.faults.phases import IN_SANDBOXES, is_taken_over, is_under_way
from tests.faults.results import SEED
from tests.faults.run import Run
from tests.needs import require
from tests.services import share_debian

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.soak, pytest.mark.network]
# Two of each kind that makes sandboxes, so that another one is there to go on.
WORKERS = ("registry", "builds-1", "builds-2", "sources-1", "sources-2", "webhooks")
# Small packages. No two runs ask for the same two, since a layer of OS packages is remembered.
PACKAGES = (
    "jq", "tree", "less", "file", "time", "bc", "dc", "ed", "cpio", "rsync", "zip", "unzip", "patch",
    "bsdextrautils", "xxd", "pv", "lsof", "psmisc",
)  # fmt: skip
# For the kernel to end what belonged to a process that it has killed.
ENDED_SECONDS = 10.0


@dataclass
class Boxed:
    """The instance whose base image has a real Python, and what its runs have not asked for yet."""

    instance: Instance
    mounts: list[str]
    packages: Iterator[tuple[str, ...]] = field(
        default_factory=lambda: itertools.combinations(PACKAGES, 2)
    )

    @property
    def cache(self) -> Path:
        return self.instance.folder / "cache"

    def sandboxes(self, name: str) -> Sandboxes | None:
        return sandboxes_of(self.instance.process_ids()[name], self.cache)


@pytest.fixture(scope="session")
def boxed(folder: Path) -> Iterator[Boxed]:
    require("confinement")
    require("debian base")
    place = folder / "with-sandboxes"
    share_debian(place / "cache")
    with running_instance(place, random.Random(SEED), workers=WORKERS) as found:
        found.import_debian()
        yield Boxed(found, mounts_below(place))


@pytest.fixture
def installation(boxed: Boxed) -> Installation:
    return boxed.instance


def ask_for(run: Run, boxed: Boxed, phase: str) -> str:
    """Ask for an image whose build has the phase, and stays in it for seconds."""
    name = run.name(phase.replace("_", "-"))
    library = boxed.instance.new_library("lib")
    if phase == "sources":
        built = boxed.instance.new_library("source")
        run.create(name, [library, built], allowSource=True)
    elif phase == "os_packages":
        packages = [{"name": package} for package in next(boxed.packages)]
        run.create(name, [library], packageRequirements=packages)
    else:
        run.create(name, [library, boxed.instance.new_library("slow")], importPolicy="refuse")
    return name


def kill_in_sandbox(
    run: Run, boxed: Boxed, workers: tuple[str, ...], is_at_it: Callable[[], bool]
) -> tuple[str, Sandboxes]:
    """Kill whichever worker has the sandbox, at a random moment; which one it was, and what it had."""
    deadline = time.monotonic() + SETTLE_SECONDS
    wanted = 0.0
    while True:
        assert time.monotonic() < deadline, "no command ran in a sandbox"
        found = {name: boxed.sandboxes(name) for name in workers} if is_at_it() else {}
        running = [(name, had) for name, had in found.items() if had is not None]
        if not running:
            time.sleep(0.05)
            continue
        if not wanted:
            wanted = time.monotonic() + run.chance.uniform(0, 2)
        if time.monotonic() >= wanted:
            ((worker, had),) = running
            boxed.instance.held_down.add(worker)
            boxed.instance.kill(worker)
            return worker, had
        time.sleep(0.05)


def await_nothing_left(boxed: Boxed, had: Sandboxes) -> None:
    """Once another worker has gone on, and thereby removed what no kernel does."""
    until = time.monotonic() + ENDED_SECONDS
    while (left := had.left()) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left
    assert mounts_below(boxed.instance.folder) == boxed.mounts


@pytest.mark.parametrize("phase", IN_SANDBOXES)
def test_a_worker_is_killed_in_each_phase_with_a_sandbox(
    run: Run, boxed: Boxed, phase: str
) -> None:
    instance = boxed.instance
    workers = tuple(
        name for name in WORKERS if name.startswith("sources" if phase == "sources" else "builds")
    )
    name = ask_for(run, boxed, phase)
    worker, had = kill_in_sandbox(
        run, boxed, workers, lambda: is_under_way(instance, name, phase, 1)
    )
    killed = time.monotonic()
    run.fault_ended()
    wait_for(lambda: not had.running(), ENDED_SECONDS, "its sandbox has ended with the worker")
    wait_for(lambda: is_taken_over(instance, name), SETTLE_SECONDS, "another worker goes on")
    run.measured["a dead worker's build goes on"] = time.monotonic() - killed
    instance.held_down.discard(worker)
    instance.settle()
    await_nothing_left(boxed, had)


def test_a_worker_is_killed_while_it_tries_imports(run: Run, boxed: Boxed) -> None:
    """The check of an image that is ready is work of its own: another worker begins it again."""
    instance = boxed.instance
    name = run.name("checked")
    libraries = [instance.new_library(kind) for kind in ("lib", "slow")]
    run.create(name, libraries, importPolicy="warn")
    worker, had = kill_in_sandbox(
        run, boxed, ("sources-1", "sources-2"), lambda: check_of(instance, name)[0] == "running"
    )
    run.fault_ended()
    wait_for(lambda: not had.running(), ENDED_SECONDS, "its sandbox has ended with the worker")
    wait_for(lambda: check_of(instance, name)[1] > 1, SETTLE_SECONDS, "another worker goes on")
    instance.held_down.discard(worker)
    wait_for(
        lambda: check_of(instance, name)[0] not in ("queued", "running"),
        SETTLE_SECONDS,
        "the check has its end",
    )
    state, _, result = check_of(instance, name)
    assert (state, result) == ("succeeded", "passed")
    await_nothing_left(boxed, had)


def check_of(instance: Instance, name: str) -> tuple[str, int, str]:
    """State, attempts and result of the check of an image's imports; empty before there is one."""
    found = instance.rows(
        "SELECT c.state, c.attempts, c.result FROM images_importcheck c "
        "JOIN images_build b ON b.id = c.build_id JOIN images_managedimage i ON i.id = b.image_id "
        "WHERE i.name = %s",
        name,
    )
    return found[0] if found else ("", 0, "")
