"""Values of a lock cannot be had with a name, hash, size or address that came from outside unchecked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from images.building.locks.files import LockedSource, LockedWheel, is_url, versions_of_sdist
from images.building.locks.pylock import parse_lock
from images.building.locks.target import Target
from images.building.locks.uv import preferences
from images.errors import LockInvalid, NoWheel, ResolutionFailed
from tests.images.building.locked import a_source, a_wheel

TARGET = Target("3.11")
URL = "https://files.test/x-1-py3-none-any.whl"


@pytest.mark.parametrize(
    "value",
    [
        {"filename": "../../x-1-py3-none-any.whl"},
        {"filename": "/etc/x-1-py3-none-any.whl"},
        {"filename": "x-1-py3-none-any.whl\0.pth"},
        {"filename": "x-1-py3-none-any.whl\n"},
        {"filename": "..\\x-1-py3-none-any.whl"},
        {"filename": ".x-1-py3-none-any.whl"},
        {"filename": "x.pth"},
        {"filename": "y-1-py3-none-any.whl"},
        {"filename": "x-2-py3-none-any.whl"},
        {"filename": f"x-1-{'py3.' * 80}py3-none-any.whl"},
        {"filename": 5},
        {"name": "X"},
        {"name": "../x"},
        {"name": "x" * 201},
        {"name": ""},
        {"version": "1\n"},
        {"version": "latest"},
        {"version": f"1.{'0' * 200}"},
        {"version": None},
        {"sha256": "../../../etc/passwd"},
        {"sha256": "A" * 64},
        {"sha256": "a" * 63},
        {"sha256": "a" * 64 + "\n"},
        {"sha256": None},
        {"size": -1},
        {"size": 0},
        {"size": 1 << 60},
        {"size": "5"},
        {"size": True},
        {"url": "file:///etc/passwd"},
        {"url": "https://user:secret@files.test/x-1-py3-none-any.whl"},
        {"url": "https:///x-1-py3-none-any.whl"},
        {"url": 'https://files.test/"\nsha256 = "x'},
        {"url": "https://files.test/a b"},
        {"url": "https://files.test:99999/x"},
        {"url": "ftp://files.test/x-1-py3-none-any.whl"},
        {"url": f"https://files.test/{'x' * 3000}"},
        {"url": ""},
        {"url": None},
    ],
)
@pytest.mark.slow
def test_no_wheel_is_made_of_what_cannot_be_one(value: dict[str, Any]) -> None:
    good = a_wheel("x")
    with pytest.raises(LockInvalid):
        replace(good, **value)


def test_a_wheel_without_an_address_says_what_it_was_built_of() -> None:
    source = a_source("x")
    built = LockedWheel("x", "1", "x-1-py3-none-any.whl", "", "a" * 64, 5, built_of=source)
    assert built.built_of == source
    with pytest.raises(LockInvalid):
        replace(built, url=URL)
    with pytest.raises(LockInvalid):
        replace(built, built_of=a_source("y"))


@pytest.mark.parametrize(
    ("name", "version", "filename"),
    [
        ("zope-interface", "5.0", "zope.interface-5.0.tar.gz"),
        ("zope-interface", "5.0", "zope_interface-5.0.tar.gz"),
        ("ruamel-yaml-clib", "0.2.8", "ruamel.yaml.clib-0.2.8.tar.gz"),
        ("python-dateutil", "2.9.0.post0", "python-dateutil-2.9.0.post0.tar.gz"),
        ("backports-csv", "1.0.7", "backports.csv-1.0.7.zip"),
        ("old", "2.0.post1", "Old-2.0-1.tar.gz"),
        ("old", "2.0rc1", "Old-2.0-rc1.tar.bz2"),
        ("torch", "2.1.0+cpu", "torch-2.1.0+cpu.tar.gz"),
        ("l2tp", "1!2.0", "l2tp-1!2.0.tgz"),
    ],
)
def test_names_of_source_distributions_of_all_times_are_taken(
    name: str, version: str, filename: str
) -> None:
    LockedSource(name, version, filename, f"https://files.test/{name}", "a" * 64)


@pytest.mark.parametrize(
    "filename",
    ["x.pth", "x-1", "x-1.whl", "../x-1.tar.gz", "y-1.tar.gz", "x-2.tar.gz", "x-1.tar.gz/", ""],
)
def test_what_is_named_otherwise_is_no_source_distribution(filename: str) -> None:
    with pytest.raises(LockInvalid):
        replace(a_source("x"), filename=filename)


def test_addresses_may_be_of_any_host_and_port() -> None:
    for good in ("http://127.0.0.1:3141/a", "https://[::1]:8080/a%2Bb?x=1", "https://i.test/x#y"):
        assert is_url(good)
    for bad in (
        "https://[::1/a",
        "http://-a/",
        "http://a@b/",
        "https:/a",
        "//a/b",
        "https://a\\b/",
    ):
        assert not is_url(bad), bad


def test_a_name_with_many_dashes_takes_no_time() -> None:
    assert list(versions_of_sdist("-" * 240 + ".tar.gz", "x")) == []


# --- kept locks --------------------------------------------------------------------------------------------


def kept(**values: str) -> str:
    """A pylock.toml as the database may hold it, with one file's values replaced."""
    of = {
        "name": "x",
        "version": "1",
        "file": "x-1.tar.gz",
        "url": "https://files.test/x-1.tar.gz",
        "sha256": "a" * 64,
        "size": "5",
        **values,
    }
    return (
        f'lock-version = "1.0"\n[[packages]]\nname = "{of["name"]}"\nversion = "{of["version"]}"\n'
        f'sdist = {{ name = "{of["file"]}", url = "{of["url"]}", size = {of["size"]}, '
        f'hashes = {{ sha256 = "{of["sha256"]}" }} }}\n'
    )


def test_an_honest_kept_lock_is_taken() -> None:
    (source,) = parse_lock(kept(), TARGET, allow_source=True).sources
    assert (source.filename, source.size) == ("x-1.tar.gz", 5)


@pytest.mark.parametrize(
    "values",
    [
        {"file": "../../../../usr/lib/python3/dist-packages/x.pth"},
        {"file": "x-1.tar.gz\\u0000"},
        {"sha256": "../../cache/aa"},
        {"url": "file:///proc/self/environ"},
        {"url": "https://files.test/..%2F..%2Fx.pth", "file": ""},
        {"version": "../1"},
        {"name": "../x"},
        {"size": "99999999999999"},
        {"size": '"5"'},
    ],
)
def test_a_kept_lock_that_was_meddled_with_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(LockInvalid):
        parse_lock(kept(**values), TARGET, allow_source=True)


@pytest.mark.parametrize(
    "package",
    [
        'name = "x"\nversion = "1"\nsdist = { url = "https://i.test/x-1.tar.gz" }',
        'name = "x"\nversion = "1"\nsdist = { path = "/etc/passwd", hashes = { sha256 = "x" } }',
        'name = "x"\nsdist = { url = "https://i.test/x-1.tar.gz" }',
        'name = 5\nversion = "1"',
        'name = "x"\nversion = "1"\nsdist = "x"',
        'name = "x"\nversion = "1"\nwheels = [5]',
    ],
)
def test_a_lock_that_leaves_out_what_is_needed_is_refused(package: str) -> None:
    with pytest.raises(LockInvalid):
        parse_lock(f"[[packages]]\n{package}\n", TARGET, allow_source=True)


def test_what_is_no_lock_at_all_is_refused() -> None:
    assert parse_lock('packages = "x"', TARGET).wheels == ()
    with pytest.raises(ResolutionFailed):
        parse_lock("a = " + "[" * 100_000, TARGET)
    with pytest.raises(NoWheel):
        parse_lock(kept(), TARGET)
    with pytest.raises(LockInvalid, match="twice"):
        parse_lock(kept() + kept().partition("\n")[2], TARGET, allow_source=True)


def test_names_of_a_base_image_are_no_toml() -> None:
    text = preferences(
        {'x"\nversion = "9"\n[[packages]]\nname = "y': "1", "good": "1.0", "bad": "\x7f"}
    )
    assert text.count("[[packages]]") == 1
    assert 'name = "good"\nversion = "1.0"' in text


def test_a_file_that_is_kept_has_its_hash_for_a_name(tmp_path: Path) -> None:
    from images.building.downloads import kept_name

    assert kept_name("ab" * 32) == f"ab/{'ab' * 32}.file"
