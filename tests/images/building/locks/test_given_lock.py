"""A complete lock that somebody brought: file for file, or every entry is told that cannot be had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.building.locks.files import Lock
from images.building.locks.given import lock_given
from images.building.locks.target import Target
from images.errors import LockDoesNotHold, NoWheel
from images.indexes import Indexes
from images.requirements import PipRequirement
from tests.images.building.private_index import index_of
from tests.images.building.wheelmaker import make_wheel

pytestmark = pytest.mark.slow

HASHES: dict[str, str] = {}


def wheel(folder: Path, name: str, version: str, *lines: str, tag: str = "py3-none-any") -> Path:
    text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])
    made = make_wheel(folder, name, version, {f"{name}.py": tag.encode()}, metadata=text.encode())
    return made.rename(folder / f"{name}-{version}-{tag}.whl")


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[Indexes]:
    files = [
        wheel(tmp_path, "app", "1.0", "Requires-Dist: needed<2"),
        wheel(tmp_path, "needed", "1.0"),
        wheel(tmp_path, "needed", "2.0"),
        wheel(tmp_path, "needed", "3.0"),
        wheel(tmp_path, "fast", "1.0", tag="cp310-cp310-manylinux_2_17_x86_64"),
        wheel(tmp_path, "fast", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64"),
        wheel(tmp_path, "fast", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64"),
        wheel(tmp_path, "fast", "1.0", tag="cp311-cp311-manylinux_2_39_x86_64"),
        wheel(tmp_path, "new", "1.0", "Requires-Python: >=3.13"),
    ]
    HASHES.update({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files})
    with index_of(*files) as address:
        yield Indexes(f"http://{address}/simple")


def pinned(name: str, version: str, *tags: str) -> PipRequirement:
    names = [f"{name}-{version}-{tag}.whl" for tag in tags or ("py3-none-any",)]
    return PipRequirement(
        name,
        f"=={version}",
        hashes=tuple(f"sha256:{HASHES.get(found, '0' * 64)}" for found in names),
    )


def given(
    indexes: Indexes,
    *wanted: PipRequirement,
    python: str = "3.11",
    base: dict[str, str] | None = None,
    wheels_alone: bool = True,
) -> Lock:
    return lock_given(
        wanted,
        Target(python),
        preinstalled=base or {},
        log=lambda line: None,
        check=lambda: None,
        indexes=indexes,
        wheels_alone=wheels_alone,
    )


def names(lock: Lock) -> list[str]:
    return [file.filename for file in lock.wheels]


def test_the_locked_versions_are_taken_though_newer_ones_are_there(indexes: Indexes) -> None:
    lock = given(indexes, pinned("app", "1.0"), pinned("needed", "1.0"))
    assert names(lock) == ["app-1.0-py3-none-any.whl", "needed-1.0-py3-none-any.whl"]


def test_of_the_locked_files_the_one_that_suits_the_platform_best_is_taken(
    indexes: Indexes,
) -> None:
    tags = [f"cp311-cp311-manylinux_2_{glibc}_x86_64" for glibc in (17, 28, 39)]
    assert names(given(indexes, pinned("fast", "1.0", *tags))) == [f"fast-1.0-{tags[1]}.whl"]
    assert names(given(indexes, pinned("fast", "1.0", tags[0]))) == [f"fast-1.0-{tags[0]}.whl"]


def test_what_its_libraries_forbid_each_other_is_installed_as_it_is_locked(
    indexes: Indexes,
) -> None:
    lock = given(indexes, pinned("app", "1.0"), pinned("needed", "3.0"))
    assert names(lock) == ["app-1.0-py3-none-any.whl", "needed-3.0-py3-none-any.whl"]


def test_what_the_lock_leaves_out_has_to_be_in_the_base_image(indexes: Indexes) -> None:
    with pytest.raises(LockDoesNotHold, match="does not name needed, which its libraries need"):
        given(indexes, pinned("app", "1.0"))
    lock = given(indexes, pinned("app", "1.0"), base={"Needed": "1.0"})
    assert names(lock) == ["app-1.0-py3-none-any.whl"]


def test_every_entry_that_cannot_be_had_is_told(indexes: Indexes) -> None:
    with pytest.raises(LockDoesNotHold) as caught:
        given(
            indexes,
            pinned("app", "1.0"),
            pinned("needed", "1.0"),
            pinned("fast", "1.0", "cp311-cp311-manylinux_2_17_x86_64"),
            pinned("gone", "1.0"),
            PipRequirement("needed-too", "==2.0", hashes=("sha256:" + "1" * 64,)),
            python="3.12",
        )
    told = str(caught.value)
    for sentence in (
        "does not hold for Python 3.12 on x86_64 with glibc 2.28",
        "fast==1.0 has no wheel for it",
        "gone==1.0 is on no index",
    ):
        assert sentence in told, told


def test_an_entry_for_other_pythons_is_told_though_the_index_does_not_say_so(
    indexes: Indexes,
) -> None:
    with pytest.raises(LockDoesNotHold, match=r"new==1\.0 is not for Python 3\.12"):
        given(indexes, pinned("new", "1.0"), python="3.12")


def test_another_file_than_the_locked_one_is_told_with_both_hashes(indexes: Indexes) -> None:
    other = PipRequirement("needed", "==2.0", hashes=("sha256:" + "1" * 64,))
    with pytest.raises(LockDoesNotHold) as caught:
        given(indexes, pinned("app", "1.0"), other)
    told = str(caught.value)
    assert "1" * 64 in told
    assert HASHES["needed-2.0-py3-none-any.whl"] in told


def test_where_source_distributions_may_serve_a_missing_wheel_is_said_as_such(
    indexes: Indexes,
) -> None:
    wanted = pinned("fast", "1.0", "cp311-cp311-manylinux_2_17_x86_64")
    with pytest.raises(NoWheel):
        given(indexes, wanted, python="3.12", wheels_alone=False)
