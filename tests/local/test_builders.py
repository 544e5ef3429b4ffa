"""Several builds workers under `make run`: how they are named, and that they share the cores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ri_platform import processes
from ri_platform.local import start
from ri_platform.local.state import Place


class Started:
    """A supervisor that only notes what it is told to start."""

    def __init__(self) -> None:
        self.children: dict[str, tuple[list[str], dict[str, str]]] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.children[name] = (list(command), dict(environment))


def started(
    monkeypatch: pytest.MonkeyPatch, builders: int, **web: str
) -> dict[str, tuple[list[str], dict[str, str]]]:
    monkeypatch.setattr(start, "wait_for", lambda *_: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    supervisor: Any = Started()
    identities = {"build-jobs": {"AWS_SECRET_ACCESS_KEY": "its own"}}
    start.start_product(supervisor, Place(Path("state"), 8000, 4566), web, identities, builders)
    children: dict[str, tuple[list[str], dict[str, str]]] = supervisor.children
    return children


def test_one_is_the_default_and_has_its_queues_name(monkeypatch: pytest.MonkeyPatch) -> None:
    children = started(monkeypatch, 1)
    assert set(children) == {processes.WEB, *processes.WORKERS, processes.SCHEDULER}
    assert "RI_BUILD_WORKERS" not in children["builds"][1]


def test_several_are_numbered_and_divide_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    children = started(monkeypatch, 3)
    builders = [name for name in children if name.startswith("builds")]
    assert builders == ["builds-1", "builds-2", "builds-3"]
    for name in builders:
        command, environment = children[name]
        assert command[command.index("-Q") + 1] == "builds"
        assert command[command.index("-n") + 1] == f"{name}@%h"
        assert environment == {
            "RI_BUILD_WORKERS": "2",
            "RI_STOP_SECONDS": "2",
            "AWS_SECRET_ACCESS_KEY": "its own",
        }
    assert "RI_BUILD_WORKERS" not in children["sources"][1]


def test_what_the_environment_says_of_layer_processes_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    children = started(monkeypatch, 16, RI_BUILD_WORKERS="5")
    assert children["builds-16"][1]["RI_BUILD_WORKERS"] == "5"
    assert started(monkeypatch, 16)["builds-16"][1]["RI_BUILD_WORKERS"] == "1"


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_what_is_no_number_of_workers_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setenv("BUILDERS", text)
    assert start.main() == 2
    assert capsys.readouterr().err == "BUILDERS must be a number from 1.\n"
