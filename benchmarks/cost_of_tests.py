"""Processor time of the tests, by file and the dearest of all: a plugin of pytest, also under `-n`.

`.venv/bin/pytest -pbenchmarks.cost_of_tests -n2` prints both tables. Other work on the
machine changes them less than `--durations`. A test has what its own process took and the processes that it
waited for; servers of the whole run (PostgreSQL, the local AWS, the web process) are not in it.
"""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import Generator

import pytest

SHOWN = 40
# By the node's id, in the process that prints.
costs: dict[str, float] = {}
begun: dict[str, float] = {}


def spent() -> float:
    """Seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    begun[item.nodeid] = spent()
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    if call.when == "teardown":
        item.user_properties.append(("processor seconds", spent() - begun.pop(item.nodeid)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        costs[report.nodeid] = float(str(dict(report.user_properties)["processor seconds"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    files: dict[str, float] = defaultdict(float)
    for test, seconds in costs.items():
        files[test.partition("::")[0]] += seconds
    terminalreporter.section(f"{sum(costs.values()):.0f} seconds of a processor")
    for title, found in (("file", files), ("test", costs)):
        for seconds, name in sorted(((s, n) for n, s in found.items()), reverse=True)[:SHOWN]:
            terminalreporter.line(f"{seconds:8.2f}  {title}  {name}")
