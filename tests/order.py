"""The order of the files of tests: the longest first.

A process of `pytest -n` takes a file when it has done one. Of two processes, one would wait for the other
if a long file were begun last, so the short ones fill what is left at the end. (`--no-loadscope-reorder`
keeps this order: pytest-xdist's own begins the files of most tests.)
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Files that take a minute and more, by `make test` or by `make test-long`.
LONGEST = (
    "browser/test_accessibility.py",
    "images/jobs/test_source_builds.py",
    "documentation/test_walk.py",
    "deploy/test_image.py",
    "test_main_job.py",
    "local/test_make_run.py",
    "images/jobs/test_debian_base.py",
    "local/test_stopping.py",
    "test_wheels.py",
    "test_access_matrix.py",
    "api/test_matrix.py",
    "api/test_schema.py",
    "test_needed_actions.py",
    "api/test_public_clients.py",
    "terraform/test_terraform.py",
)


def put_longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by file: those named here, then other files with slow tests, then the rest.

    A round of the fault suite begins when all its files have had the one before (`tests/faults/conftest.py`).
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    order = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(
        key=lambda item: (
            round_of(item), order.get(item.path, len(order)), item.path not in slow, item.path
        )
    )  # fmt: skip


def round_of(item: pytest.Item) -> int:
    called = getattr(item, "callspec", None)
    found: int = called.params.get("number", 0) if called and "faults" in item.path.parts else 0
    return found
