"""Kept trees: made once, dropped by age beyond the limit, and never while somebody holds one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from images.building.containers.trees import TreeCache


def keep(trees: TreeCache, name: str, size: int = 100_000) -> None:
    def make(made: Path) -> None:
        (made / "file").write_bytes(b"x" * size)

    with trees.held(name, make, lambda: None):
        pass


def refuse_to_make(made: Path) -> None:
    raise AssertionError("It is there already.")


def age(root: Path, name: str, seconds: int) -> None:
    os.utime(root / "trees" / f"{name}.lock", (seconds, seconds))


def test_a_tree_is_made_once(tmp_path: Path) -> None:
    trees = TreeCache(tmp_path, 1_000_000)
    keep(trees, "one")
    with trees.held("one", refuse_to_make, lambda: None) as tree:
        assert (tree / "file").stat().st_size == 100_000
        assert tree.stat().st_mode & 0o777 == 0o755


def test_a_tree_whose_making_failed_is_not_there(tmp_path: Path) -> None:
    def fail(made: Path) -> None:
        (made / "half").touch()
        raise OSError("No space left on device")

    trees = TreeCache(tmp_path, 1_000_000)
    with pytest.raises(OSError, match="No space left"), trees.held("one", fail, lambda: None):
        pass
    keep(trees, "one")
    with trees.held("one", refuse_to_make, lambda: None) as tree:
        assert [path.name for path in tree.iterdir()] == ["file"]


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    trees = TreeCache(tmp_path, 250_000)
    for number, name in enumerate(("old", "middle", "new")):
        keep(trees, name)
        age(tmp_path, name, 1000 + number)
    assert trees.trim() > 0
    assert sorted(path.name for path in (tmp_path / "trees").iterdir()) == [
        "middle", "middle.lock", "new", "new.lock",
    ]  # fmt: skip


def test_what_is_held_stays(tmp_path: Path) -> None:
    trees = TreeCache(tmp_path, 0)
    keep(trees, "one")
    keep(trees, "two")
    with trees.held("one", refuse_to_make, lambda: None) as tree:
        trees.trim()
        assert (tree / "file").exists()
        assert not (tmp_path / "trees/two").exists()
    trees.trim()
    assert not tree.exists()


def test_two_who_want_the_same_make_it_once(tmp_path: Path) -> None:
    trees, made_by, go_on = TreeCache(tmp_path, 1_000_000), [], threading.Event()

    def make(made: Path) -> None:
        made_by.append(threading.current_thread().name)
        go_on.wait(10)

    def hold() -> None:
        with trees.held("one", make, lambda: None):
            pass

    both = [threading.Thread(target=hold) for _ in range(2)]
    for thread in both:
        thread.start()
    go_on.set()
    for thread in both:
        thread.join()
    assert len(made_by) == 1


def test_one_who_waits_for_another_can_be_stopped(tmp_path: Path) -> None:
    trees, making, stop = TreeCache(tmp_path, 1_000_000), threading.Event(), threading.Event()

    class Stopped(Exception):
        pass

    def make(made: Path) -> None:
        making.set()
        stop.wait(10)

    def hold() -> None:
        with trees.held("one", make, lambda: None):
            pass

    def check() -> None:
        raise Stopped

    maker = threading.Thread(target=hold)
    maker.start()
    making.wait(10)
    with pytest.raises(Stopped), trees.held("one", refuse_to_make, check):
        pass
    stop.set()
    maker.join()
