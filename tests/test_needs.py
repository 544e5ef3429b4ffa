"""What becomes of a test whose machine lacks something: skipped and counted, or a failure that is seen."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace
from typing import Any

import pytest

from tests import needs
from tests.needs import Lack

PACKAGE = Lack("This drives Chromium.", ("chromium", "libatomic1"))
MACHINE = Lack("This machine makes no sandboxes.")


@pytest.mark.parametrize(
    ("uid", "ci", "apt", "lack", "skips"),
    [
        (1000, "", True, PACKAGE, True),
        (1000, "true", True, PACKAGE, True),
        (0, "", True, PACKAGE, False),
        (0, "", False, PACKAGE, True),
        (0, "true", False, PACKAGE, False),
        (0, "", True, MACHINE, True),
        (0, "true", True, MACHINE, False),
    ],
)
def test_an_ordinary_user_skips_and_ci_as_root_never_does(
    uid: int, ci: str, apt: bool, lack: Lack, skips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/apt-get" if apt else None)
    assert needs.may_skip(lack) is skips


def test_the_reason_is_a_sentence_that_names_the_packages() -> None:
    with pytest.raises(pytest.skip.Exception) as skipped:
        needs.refuse(PACKAGE, skip=True)
    assert str(skipped.value) == "This drives Chromium. Install chromium and libatomic1."
    with pytest.raises(pytest.fail.Exception, match="makes no sandboxes"):
        needs.refuse(MACHINE, skip=False)


def test_the_browser_is_not_enough_without_the_drivers_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(needs, "loadable", lambda library: library != "libatomic.so.1")
    assert needs.chromium() == Lack("The browser's driver needs libatomic.so.1.", ("libatomic1",))


def test_libraries_are_found_as_the_dynamic_linker_does() -> None:
    assert needs.loadable("libc.so.6")
    assert not needs.loadable("libc.so")
    assert not needs.loadable("libnothing.so.1")


def test_the_end_of_the_run_counts_what_was_left_out() -> None:
    told: list[str] = []
    reasons = ["Skipped: " + str(PACKAGE)] * 3 + ["Skipped: " + str(MACHINE)]
    reporter: Any = SimpleNamespace(
        stats={
            "skipped": [SimpleNamespace(longrepr=("needs.py", 1, reason)) for reason in reasons]
        },
        section=told.append,
        line=told.append,
    )
    needs.pytest_terminal_summary(reporter)
    assert told == [
        "4 left out on this machine",
        "   3  This drives Chromium. Install chromium and libatomic1.",
        "   1  This machine makes no sandboxes.",
        "      To have the packages: sudo make packages",
    ]
