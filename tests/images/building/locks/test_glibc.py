"""Locks for the C library that a base image has: the resolver, the choice of wheels, and what is said."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from uv import find_uv_bin

from images.building.locks.files import Lock
from images.building.locks.interpreter import NAMED_MINORS, pretender_of, python_for
from images.building.locks.pylock import parse_lock
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.errors import NoWheel
from images.indexes import Indexes
from images.requirement_files.configured import parse_pip_requirements
from tests.images.building.private_index import index_of
from tests.images.building.wheelmaker import make_wheel

pytestmark = pytest.mark.slow

Has = Callable[..., Indexes]


def target(libc: str) -> Target:
    """`libc` as tags name it, `manylinux_2_36`."""
    return Target("3.11", f"x86_64-{libc}")


def lock(text: str, libc: str, indexes: Indexes | None = None) -> Lock:
    return resolve(
        parse_pip_requirements(text),
        target(libc),
        preinstalled={},
        log=lambda line: None,
        check=lambda: None,
        indexes=indexes,
        environment={"UV_NO_CACHE": "1"} if indexes else {},
    )


@pytest.fixture
def has(tmp_path: Path) -> Iterator[Has]:
    """Makes an index of wheels of the library `fast`, each a version and a platform tag."""
    with ExitStack() as stack:

        def index(*wheels: str) -> Indexes:
            files = []
            for wheel in wheels:
                version, _, platform = wheel.partition(" ")
                made = make_wheel(tmp_path, "fast", version, {"fast.py": platform.encode()})
                name = f"fast-{version}-cp311-cp311-{platform}.whl"
                files.append(made.rename(tmp_path / name))
            return Indexes(f"http://{stack.enter_context(index_of(*files))}/simple")

        yield index


def wheel_of(found: Lock) -> str:
    (wheel,) = found.wheels
    return wheel.filename


def test_the_names_that_uv_has_for_platforms_are_known() -> None:
    said = subprocess.run(
        [find_uv_bin(), "pip", "compile", "--help"], capture_output=True, text=True, check=True
    ).stdout
    named = {int(minor) for minor in re.findall(r"\bx86_64-manylinux_2_(\d+)", said)}
    assert named == set(NAMED_MINORS)
    assert "x86_64-unknown-linux-musl" in said


# 2.27 and 2.43 are none that uv has a name for.
@pytest.mark.parametrize(
    ("libc", "chosen"),
    [
        ("manylinux_2_17", "manylinux2014"),
        ("manylinux_2_26", "manylinux2014"),
        ("manylinux_2_27", "manylinux_2_27"),
        ("manylinux_2_28", "manylinux_2_27"),
        ("manylinux_2_36", "manylinux_2_35"),
        ("manylinux_2_41", "manylinux_2_41"),
        ("manylinux_2_43", "manylinux_2_41"),
        ("musllinux_1_2", "musllinux_1_1"),
    ],
)
def test_the_best_wheel_for_the_glibc_that_is_there_is_taken(
    libc: str, chosen: str, has: Has
) -> None:
    kinds = ("manylinux2014", "manylinux_2_27", "manylinux_2_35", "manylinux_2_41", "musllinux_1_1")
    index = has(*(f"1.0 {kind}_x86_64" for kind in kinds))
    assert wheel_of(lock("fast", libc, index)) == f"fast-1.0-cp311-cp311-{chosen}_x86_64.whl"


@pytest.mark.parametrize("libc", ["manylinux_2_26", "manylinux_2_28"])
def test_an_older_version_serves_a_base_that_the_newest_has_left_behind(
    libc: str, has: Has
) -> None:
    index = has("1.0 manylinux_2_17_x86_64", "2.0 manylinux_2_34_x86_64")
    assert lock("fast", libc, index).wheels[0].version == "1.0"
    assert lock("fast", "manylinux_2_36", index).wheels[0].version == "2.0"


@pytest.mark.parametrize("minor", [26, 28])
def test_a_failure_names_the_glibc_of_the_base_and_that_of_the_wheels(minor: int, has: Has) -> None:
    index = has("1.0 manylinux_2_35_x86_64", "1.0 manylinux_2_36_x86_64")
    with pytest.raises(NoWheel) as raised:
        lock("fast", f"manylinux_2_{minor}", index)
    assert raised.value.message.startswith(
        f"This base image has glibc 2.{minor}. fast 1.0 has wheels for glibc 2.35 or later alone."
    )
    assert "another base image" in raised.value.hint


def test_a_musl_base_is_told_of_wheels_for_glibc_alone(has: Has) -> None:
    index = has("1.0 manylinux_2_17_x86_64")
    with pytest.raises(NoWheel, match=r"has musl 1\.2\. fast 1\.0 has wheels for glibc alone"):
        lock("fast", "musllinux_1_2", index)


def test_other_machines_wheels_do_not_count(has: Has) -> None:
    index = has("1.0 manylinux_2_17_aarch64")
    with pytest.raises(NoWheel, match="has no wheel for Linux on x86_64"):
        lock("fast", "manylinux_2_36", index)


def test_a_kept_lock_that_a_base_with_an_older_glibc_cannot_take_says_so() -> None:
    file = "fast-1.0-cp311-cp311-manylinux_2_35_x86_64.whl"
    text = f"""
[[packages]]
name = "fast"
version = "1.0"
wheels = [{{ url = "https://i.test/{file}", hashes = {{ sha256 = "{"b" * 64}" }} }}]
"""
    assert parse_lock(text, target("manylinux_2_36")).wheels
    with pytest.raises(NoWheel, match=r"fast 1\.0 .* Python 3\.11 on x86_64 with glibc 2\.31"):
        parse_lock(text, target("manylinux_2_31"))


def test_a_pretender_that_was_cleaned_away_is_made_again() -> None:
    first = Path(python_for(target("manylinux_2_27")))
    assert first == Path(python_for(target("manylinux_2_27")))
    pretender_of("glibc 2.27").folder.cleanup()
    assert Path(python_for(target("manylinux_2_27"))).exists()


@pytest.mark.network
def test_mlx_is_had_on_the_glibc_that_it_needs() -> None:
    found = lock("mlx==0.29.3", "manylinux_2_36")
    assert "manylinux_2_35_x86_64" in found.wheels[0].filename
    with pytest.raises(NoWheel, match=r"glibc 2\.28\. mlx 0\.29\.3 has wheels for glibc 2\.35"):
        lock("mlx==0.29.3", "manylinux_2_28")
