"""The suite's look at what a sandbox leaves sees one that goes on, and nothing once it has ended."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from images.building.cache import work_folder
from images.building.containers import cgroups
from tests.faults.leftovers import sandboxes_of
from tests.images.building.containers.trying import Trying, wait_until
from tests.needs import needs

# A process that has left the session and the group of the command, and outlives it.
LINGERS = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
print("up", flush=True)
time.sleep(3)
"""


@pytest.mark.slow
@needs("confinement", "system python")
def test_a_sandbox_is_seen_until_it_has_ended(tmp_path: Path, settings: Any) -> None:
    settings.CACHE_DIR = tmp_path / "cache"
    trying = Trying()
    thread = Thread(target=lambda: trying.results(LINGERS).close())
    assert sandboxes_of(os.getpid(), settings.CACHE_DIR) is None
    with work_folder(settings.CACHE_DIR, "build-1") as work:
        thread.start()
        wait_until(lambda: "up" in trying.said)
        had = sandboxes_of(os.getpid(), settings.CACHE_DIR)
        assert had is not None
        # What supervises, bubblewrap's own, the command and what it has left behind.
        assert sum("time.sleep(600)" in said for said in had.commands.values()) >= 2
        assert {line.partition(":")[0] for line in had.running()} > {"mnt", "pid", "net"}
        assert len(had.groups) == len(cgroups.hierarchies())
        assert set(map(str, (work, *had.groups))) < set(had.left())
        thread.join()
        assert had.alive() == []
        assert set(had.left()) == {str(work), f"{work}.lock"}
    assert had.left() == []
