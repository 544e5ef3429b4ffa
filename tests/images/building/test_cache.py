"""Caches: bounded, least recently used out first, safe between processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from images.building.cache import LEFTOVER_SECONDS, BoundedCache, work_folder

ROOT = Path(__file__).resolve().parents[3]


def kept(cache: BoundedCache, folder: Path, name: str, size: int, used: float) -> None:
    source = folder / f"source-{name.replace('/', '-')}"
    source.write_bytes(b"x" * size)
    cache.keep(name, source)
    source.unlink()
    os.utime(folder / "cache" / name, (used, used))


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path / "cache", 100)
    for number, name in enumerate(("ab/one", "ab/two", "cd/three")):
        kept(cache, tmp_path, name, 40, used=1000 + number)
    assert cache.take("ab/one", tmp_path / "link") is True  # Now it is the last one used.
    assert cache.trim() == 40
    left = {str(p.relative_to(tmp_path / "cache")) for p in (tmp_path / "cache").rglob("*/*")}
    assert left == {"ab/one", "cd/three"}
    assert cache.trim() == 0


def test_what_a_build_took_stays_readable_when_it_is_dropped(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path / "cache", 10)
    kept(cache, tmp_path, "big", 40, used=1000)
    assert cache.take("big", tmp_path / "mine")
    cache.trim()
    assert cache.take("big", tmp_path / "again") is False
    assert len((tmp_path / "mine").read_bytes()) == 40


def test_another_process_that_trims_is_left_alone(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path / "cache", 10)
    kept(cache, tmp_path, "big", 40, used=1000)
    with (tmp_path / "cache/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cache.trim() == 0
    assert cache.trim() == 40


# A worker with a work folder, until it is killed.
WORKER = """
import sys, time
from pathlib import Path
from images.building.cache import work_folder
with work_folder(Path(sys.argv[1]), "build-1") as work:
    (work / "upper").mkdir()
    print(work, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_worker_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with work_folder(tmp_path, "build-2"):
            assert (left / "upper").is_dir()
        process.kill()
    assert (left / "upper").is_dir()
    with work_folder(tmp_path, "build-3") as work:
        assert {path.name for path in tmp_path.iterdir()} == {work.name, f"{work.name}.lock"}
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_taken_for_left_behind_is_made_anew(tmp_path: Path) -> None:
    """Between making and locking it, another worker may clear up."""
    taken: list[Path] = []

    def flock(descriptor: int, operation: int) -> None:
        if not taken:
            (lock,) = tmp_path.glob("work-*.lock")
            lock.unlink()
            taken.append(lock)
        real(descriptor, operation)

    real = fcntl.flock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        with work_folder(tmp_path, "build-1") as work:
            assert work.with_name(f"{work.name}.lock").exists()
            assert f"{work.name}.lock" != taken[0].name


def test_what_workers_of_earlier_versions_left_is_cleared_after_a_day(tmp_path: Path) -> None:
    """Their folders have no lock, and they may work beside those of this version while it is rolled out."""
    (tmp_path / "work-build-1-old").mkdir()
    (tmp_path / "work-build-2-new").mkdir()
    old = time.time() - LEFTOVER_SECONDS - 60
    os.utime(tmp_path / "work-build-1-old", (old, old))
    with work_folder(tmp_path, "build-3") as work:
        assert work.is_dir()
        names = {path.name for path in tmp_path.iterdir()}
    assert names == {"work-build-2-new", work.name, f"{work.name}.lock"}
    assert not work.exists()


def test_a_later_file_takes_the_place_of_one_of_its_name(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path / "cache", 100)
    for number in (1, 2, 2):
        source = tmp_path / f"source-{number}"
        source.write_bytes(b"%d" % number)
        cache.replace("ab/one", source)
        assert cache.take("ab/one", tmp_path / f"taken-{number}")
    assert (tmp_path / "taken-1").read_bytes() == b"1"
    assert (tmp_path / "taken-2").read_bytes() == b"2"
    assert [path.name for path in (tmp_path / "cache/ab").iterdir()] == ["one"]
