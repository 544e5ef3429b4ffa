"""Indexes as they are: build numbers, percent-encoded links, hashes of other kinds, yanked releases."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from images.building.cache import caches
from images.building.containers.index_proxy import IndexDoor, indexed_file
from images.building.downloads import kept_name
from images.building.locks.annotations import yank_notes, yanked_by, yanks_in
from images.building.locks.files import Lock
from images.building.locks.pylock import best_wheel, parse_lock
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.errors import WheelInvalid
from images.indexes import Indexes, indexes_of
from images.requirement_files.configured import parse_pip_requirements
from tests.images.building.private_index import index_of
from tests.images.building.wheelmaker import make_wheel

pytestmark = pytest.mark.slow

TARGET = Target("3.11")


def md5_of(file: Path) -> str:
    return f"#md5={hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()}"


def locked(address: str, text: str, said: list[str] | None = None) -> Lock:
    return resolve(
        parse_pip_requirements(text),
        TARGET,
        preinstalled={},
        log=(said if said is not None else []).append,
        check=lambda: None,
        indexes=Indexes(default=f"http://{address}/simple"),
        environment={"UV_NO_CACHE": "1"},
    )


@pytest.fixture
def _own_cache(settings: Any, tmp_path: Path) -> None:
    settings.CACHE_DIR = tmp_path / "cache"


def test_of_build_numbers_the_highest_is_taken(tmp_path: Path) -> None:
    plain = make_wheel(tmp_path, "tagged", "1.0")
    files = [plain]
    for build in ("1", "2", "10", "2b"):
        files.append(tmp_path / f"tagged-1.0-{build}-py3-none-any.whl")
        files[-1].write_bytes(plain.read_bytes())
    with index_of(*files) as address:
        (wheel,) = locked(address, "tagged").wheels
    assert wheel.filename == "tagged-1.0-10-py3-none-any.whl"


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (["9-py3-none-any", "py3-none-any"], "9-py3-none-any"),
        (["2a-py3-none-any", "2b-py3-none-any", "2-py3-none-any"], "2b-py3-none-any"),
        # What fits the platform better counts more than any number.
        (["99-py3-none-any", "1-cp311-cp311-manylinux_2_17_x86_64"],
         "1-cp311-cp311-manylinux_2_17_x86_64"),
    ],
)  # fmt: skip
def test_build_numbers_are_compared_as_numbers_then_letters(names: list[str], best: str) -> None:
    wheels = [
        {"url": f"https://i.test/x-1-{name}.whl", "hashes": {"sha256": "a" * 64}} for name in names
    ]
    for order in (wheels, wheels[::-1]):
        found = best_wheel({"name": "x", "version": "1", "wheels": order}, TARGET.tags)
        assert found is not None
        assert found.filename == f"x-1-{best}.whl"


def test_a_local_version_is_found_behind_an_encoded_link(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "sample", "1.0+cpu")
    with index_of(wheel) as address:
        (found,) = locked(address, "sample==1.0+cpu").wheels
        door = IndexDoor(Indexes(default=f"http://{address}/simple"))
        try:
            url = f"{door.upstreams[0]}sample/"
            from pypi_simple import ProjectPage

            page = ProjectPage.from_html("sample", door.client.get(url).text, url)
        finally:
            door.close()
    assert (found.version, found.filename) == ("1.0+cpu", wheel.name)
    # The same through the door of source builds, whose pages are read by the links' texts.
    (listed,) = (indexed_file(package, "sample") for package in page.packages)
    assert listed is not None
    assert (listed.filename, listed.version) == (wheel.name, "1.0+cpu")


@pytest.mark.usefixtures("_own_cache")
def test_a_file_with_md5_alone_is_fetched_and_hashed_and_kept(tmp_path: Path) -> None:
    wheel, other = make_wheel(tmp_path, "sample"), make_wheel(tmp_path, "other")
    said: list[str] = []
    with index_of(wheel, other, fragment=md5_of) as address:
        lock = locked(address, "sample\nother", said)
    sha256 = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (wheel, other)}
    assert {item.filename: item.sha256 for item in lock.wheels} == sha256
    assert (
        f"{wheel.name}: its index tells the md5 alone. It was fetched, and its sha256 is "
        + (f"{sha256[wheel.name]}.")
        in said
    )
    # The lock is the same from then on, and the build need not fetch it again.
    assert parse_lock(lock.text, TARGET).wheels == lock.wheels
    assert indexes_of(lock.text) == {"sample": "default", "other": "default"}
    assert caches().wheels.take(kept_name(sha256[wheel.name]), tmp_path / "taken")


@pytest.mark.usefixtures("_own_cache")
def test_a_file_that_has_another_md5_is_refused(tmp_path: Path) -> None:
    with (
        index_of(make_wheel(tmp_path), fragment=lambda file: f"#md5={'0' * 32}") as address,
        pytest.raises(WheelInvalid, match="does not have the md5"),
    ):
        locked(address, "sample")


@pytest.mark.usefixtures("_own_cache")
def test_a_given_hash_is_held_against_what_was_fetched(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with index_of(wheel, fragment=md5_of) as address:
        (found,) = locked(address, f"sample==1.0 --hash=sha256:{sha256}").wheels
    assert found.sha256 == sha256


def test_an_index_without_hashes_serves_too(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    with index_of(wheel) as address:
        (found,) = locked(address, "sample").wheels
    assert found.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_a_yanked_release_that_is_pinned_is_taken_and_told(tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path, name) for name in ("one", "two", "three")]
    reasons = {wheels[0].name: "breaks &quot;x&quot; \\ on é.", wheels[1].name: ""}
    with index_of(*wheels, yanked=reasons) as address:
        lock = locked(address, "one==1.0\ntwo==1.0\nthree")
    assert yanks_in(lock.text) == {"one": 'breaks "x" \\ on é.', "two": ""}
    versions = {wheel.name: wheel.version for wheel in lock.wheels}
    assert [(note.text, note.libraries) for note in yank_notes(lock.text, versions)] == [
        ('one 1.0 was yanked from its index: breaks "x" \\ on é.', ("one",)),
        ("two 1.0 was yanked from its index, without a reason.", ("two",)),
    ]


def test_a_reason_cannot_break_the_lock() -> None:
    from images.building.locks.annotations import annotate_lock

    lock = 'lock-version = "1.0"\n[[packages]]\nname = "x"\nversion = "1"\n'
    reason = 'a"\n[[packages]]\nname = "evil" \x1b[31m \ud83d' + "é" * 900
    told = tomllib.loads(annotate_lock(lock, {}, {}, {"x": reason}))
    (package,) = told["packages"]
    assert len(package["tool"]["ri-platform"]["yanked"]) == 300


def test_what_uv_says_of_yanks_is_read() -> None:
    said = [
        'warning: `attrs==21.1.0` is yanked (reason: "Installable but not (really)")',
        'warning: `My_Lib==1!2.0+cpu` is yanked (reason: "")',
        "warning: something else",
    ]
    assert yanked_by(said) == {"attrs": "Installable but not (really)", "my-lib": ""}


@pytest.mark.network
def test_a_yanked_release_of_the_index_is_told_with_its_reason() -> None:
    lock = resolve(
        parse_pip_requirements("attrs==21.1.0"),
        TARGET,
        preinstalled={},
        log=lambda line: None,
        check=lambda: None,
    )
    (note,) = yank_notes(lock.text, {"attrs": "21.1.0"})
    assert note.text == (
        "attrs 21.1.0 was yanked from its index: Installable but not importable on Python 3.4."
    )
