"""The order of installation is pip's own."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from pip._internal.resolution.resolvelib.resolver import get_topological_weights
from pip._vendor.resolvelib.structs import DirectedGraph

from images.building.layers.paths import LayerPaths, arrange
from images.building.layers.write import write_wheel_layer
from images.building.locks.order import installation_order
from images.building.locks.pylock import parse_lock
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.requirement_files.configured import parse_pip_requirements

TARGET = Target("3.11")


def order_of_pip(needs: dict[str, list[str]]) -> list[str]:
    graph: DirectedGraph[str | None] = DirectedGraph()
    graph.add(None)
    for name in needs:
        graph.add(name)
    needed = {name for names in needs.values() for name in names}
    for name, names in needs.items():
        if name not in needed:
            graph.connect(None, name)
        for other in names:
            graph.connect(name, other)
    weights = get_topological_weights(graph, set(needs))
    return sorted(needs, key=lambda name: (weights[name], name), reverse=True)


@pytest.mark.parametrize(
    "needs",
    [
        {"opencv-contrib-python-headless": ["numpy"], "opencv-python-headless": ["numpy"], "numpy": []},
        {"a": ["b"], "b": ["c"], "c": [], "d": ["c"], "e": []},
        {"app": ["a"], "a": ["b"], "b": ["a"]},
        {"app": ["a", "x"], "a": ["b"], "b": ["c"], "c": ["a"], "x": ["y"], "y": []},
        {},
    ],
)  # fmt: skip
def test_it_is_pips_order(needs: dict[str, list[str]]) -> None:
    assert installation_order(needs) == order_of_pip(needs)


def test_it_is_pips_order_of_any_graph_without_circles() -> None:
    dice = random.Random(16)
    for _ in range(50):
        names = [f"lib{number}" for number in range(dice.randint(1, 40))]
        dice.shuffle(names)
        needs = {
            name: dice.sample(names[place + 1 :], min(dice.randint(0, 3), len(names) - place - 1))
            for place, name in enumerate(names)
        }
        assert installation_order(needs) == order_of_pip(needs)


def test_circles_that_nothing_leads_to_are_in_it_and_it_is_always_the_same() -> None:
    needs = {"a": ["b"], "b": ["a"], "x": ["y"], "y": ["x"], "self": ["self", "gone"]}
    found = installation_order(needs)
    assert sorted(found) == sorted(needs)
    assert found == installation_order(dict(reversed(needs.items())))


def test_a_long_chain_of_circles_ends() -> None:
    count = 3_000
    needs = {f"n{n:04}": [f"n{(n + 1) % count:04}", f"n{(n - 1) % count:04}"] for n in range(count)}
    assert len(installation_order(needs)) == count


LOCK = """
lock-version = "1.0"
[[packages]]
name = "Big_Lib"
version = "1.0"
dependencies = [{ name = "small.lib" }]
wheels = [{ url = "https://i.test/big_lib-1.0-py3-none-any.whl", hashes = { sha256 = "%(sha256)s" } }]
[[packages]]
name = "small-lib"
version = "1.0"
wheels = [{ url = "https://i.test/small_lib-1.0-py3-none-any.whl", hashes = { sha256 = "%(sha256)s" } }]
"""


def test_a_lock_knows_its_order() -> None:
    lock = LOCK % {"sha256": "a" * 64}
    assert parse_lock(lock, TARGET).order == ("small-lib", "big-lib")
    without = lock.replace('dependencies = [{ name = "small.lib" }]', "dependencies = 7")
    assert parse_lock(without, TARGET).order == ("small-lib", "big-lib")


@pytest.mark.network
def test_of_two_libraries_with_the_same_files_pips_last_one_stays(tmp_path: Path) -> None:
    names = ("opencv-python-headless", "opencv-contrib-python-headless")
    pins = [f"{name}==4.10.0.84" for name in names]
    lock = resolve(
        parse_pip_requirements("\n".join(pins)), TARGET,
        preinstalled={}, log=lambda line: None, check=lambda: None,
    )  # fmt: skip
    assert lock.order == ("numpy", *names)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
         "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--platform",
         "manylinux2014_x86_64", "--dest", tmp_path, *pins],
        check=True, capture_output=True,
    )  # fmt: skip
    layers = []
    # As by their sizes: the bigger one first.
    for name in reversed(names):
        (wheel,) = tmp_path.glob(f"{name.replace('-', '_')}-*.whl")
        made = write_wheel_layer([wheel], "3.11", tmp_path / name, bytecode=False)
        layers.append((f"{name} 4.10.0.84", LayerPaths.unpack(made.paths)))
    arranged = arrange(layers, lock.order)
    assert arranged.order == (1, 0)
    (hidden,) = arranged.hidden
    assert (hidden.library, hidden.by) == tuple(f"{name} 4.10.0.84" for name in names)
    assert any(path.endswith("/cv2/cv2.abi3.so") for path in hidden.paths)
    assert not any("/numpy" in path for path in hidden.paths)
