"""Groups of workers that see each other's folders, but not each other's processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.building.containers import cgroups
from images.building.containers.cgroups import Budget
from tests.local.make_run import ROOT
from tests.needs import needs
from tests.workers import until

pytestmark = needs("root")
SMALL = Budget(processes=16, memory=1 << 28, cpus=1)
ANOTHER = """
import sys
from images.building.containers import cgroups
with cgroups.group(cgroups.Budget(16, 1 << 28, 1)) as group:
    print(*group.folders, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def elsewhere() -> Iterator[subprocess.Popen[str]]:
    """A worker in a container, whose processes have numbers of their own."""
    if problem := cgroups.problem():
        pytest.skip(problem)
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c"]
    with subprocess.Popen(
        [*command, ANOTHER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def folders_of(worker: subprocess.Popen[str]) -> list[Path]:
    assert worker.stdout is not None
    return [Path(text) for text in worker.stdout.readline().split()]


def test_a_group_that_nobody_has_joined_yet_stays_whoever_else_makes_one(
    elsewhere: subprocess.Popen[str],
) -> None:
    with cgroups.group(SMALL) as mine:
        theirs = folders_of(elsewhere)
        assert theirs
        with cgroups.group(SMALL):
            assert all(path.exists() for path in (*mine.folders, *theirs))
    assert not any(path.exists() for path in mine.folders)


def left_beside_another(folders: list[Path]) -> list[Path]:
    with cgroups.group(SMALL):
        return [path for path in folders if path.exists()]


def test_a_group_of_a_worker_that_was_killed_is_removed(elsewhere: subprocess.Popen[str]) -> None:
    left = folders_of(elsewhere)
    assert left
    elsewhere.kill()
    # The end of what `unshare` started follows its own.
    until(lambda: not left_beside_another(left), 20)
