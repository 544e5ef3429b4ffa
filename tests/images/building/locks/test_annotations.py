"""The lock says which library asked for which (PEP 751's `dependencies`)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from images.building.locks.annotations import annotate_lock, dependencies_of, pins
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.requirement_files.configured import parse_pip_requirements

LOCK = """lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "numpy"
version = "2.4.6"
wheels = [{ url = "https://i.test/numpy-2.4.6-py3-none-any.whl", hashes = { sha256 = "aa" } }]

[[packages]]
name = "pandas"
version = "3.1.1"
wheels = [{ url = "https://i.test/pandas-3.1.1-py3-none-any.whl", hashes = { sha256 = "aa" } }]
"""
ANNOTATED = """\
numpy==2.4.6              # via -r /tmp/a b/requirements.in, pandas, scikit-learn
pandas==3.1.1             # via -r /tmp/a b/requirements.in
six==1.17.0               # via Python_Dateutil
"""


def test_what_uv_annotates_is_read_by_who_asked() -> None:
    assert dependencies_of(ANNOTATED) == {
        "pandas": ["numpy"], "scikit-learn": ["numpy"], "python-dateutil": ["six"],
    }  # fmt: skip


def test_the_lock_tells_it_and_stays_a_lock() -> None:
    text = annotate_lock(LOCK, {"pandas": ["tzdata", "numpy"]}, {"numpy": "internal"})
    packages = Pylock.from_dict(tomllib.loads(text)).packages
    assert [(item.name, item.dependencies) for item in packages] == [
        ("numpy", None),
        ("pandas", [{"name": "numpy"}, {"name": "tzdata"}]),
    ]
    assert pins(text) == pins(LOCK) == "numpy==2.4.6\npandas==3.1.1\n"


@pytest.mark.network
def test_resolving_records_who_asked_for_what(tmp_path: Path) -> None:
    lock = resolve(
        parse_pip_requirements("requests[socks]\nidna"), Target("3.11"),
        preinstalled={}, log=lambda line: None, check=lambda: None,
    )  # fmt: skip
    packages = tomllib.loads(lock.text)["packages"]
    asked = {item["name"]: [d["name"] for d in item.get("dependencies", [])] for item in packages}
    assert asked["requests"] == [
        "certifi", "charset-normalizer", "idna", "pysocks", "urllib3",
    ]  # fmt: skip
    assert asked["idna"] == []
    assert {wheel.name for wheel in lock.wheels} == set(asked)
