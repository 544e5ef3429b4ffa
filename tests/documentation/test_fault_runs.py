"""The page's table of fault runs is that of the runs that are kept."""

from __future__ import annotations

from tests.faults.results import KEPT, PAGE, kept, page_with


def test_the_table_is_of_the_runs_that_are_kept() -> None:
    runs = kept(KEPT)
    assert runs
    assert all(run.tree for run in runs)
    assert page_with(runs) == PAGE.read_text(encoding="utf-8")
