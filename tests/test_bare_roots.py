"""The script for bare machines: what it takes over from this one, what it reads, and its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.bare_roots import __main__ as script
from tools.bare_roots import host, inside
from tools.bare_roots.table import table

RUN = {
    "suite": "bookworm", "user": "root", "place": "mount", "what": "run", "answers": 33.4,
    "base": 54.0, "base_said": "succeeded", "stop": 5.0, "left": [], "untracked": [],
    "venv_mb": 337.2, "status": 0, "commit": "abc1234", "pytest": [],
}  # fmt: skip
TEST = {
    "suite": "bookworm", "user": "root", "place": "mount", "what": "test", "seconds": 596.0,
    "counts": {"passed": 1456, "skipped": 20}, "status": 0, "commit": "abc1234", "pytest": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (
            "====== 1456 passed, 20 skipped in 591.10s (0:09:51) ======",
            {"passed": 1456, "skipped": 20},
        ),
        ("1 failed, 2 passed, 45 errors in 3.1s", {"failed": 1, "passed": 2, "errors": 45}),
        ("make: *** [Makefile:31: lint] Error 1", {}),
    ],
)
def test_pytests_last_line_is_counted(said: str, counts: dict[str, int]) -> None:
    assert inside.counts(f"some words\n{said}\n") == counts


def test_the_root_is_told_where_packages_come_from_and_nothing_else() -> None:
    own = {
        "PIP_INDEX_URL": "https://i.test/simple", "UV_SYSTEM_CERTS": "1", "https_proxy": "http://p.test",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt", "npm_config_registry": "https://n.test",
        "PIP_CACHE_DIR": "/root/.cache", "HOME": "/root", "AWS_SECRET_ACCESS_KEY": "s", "RI_DEMO": "1",
        "DATABASE_URL": "postgres://x",
    }  # fmt: skip
    assert set(host.variables(own)) == {
        "PIP_INDEX_URL", "UV_SYSTEM_CERTS", "https_proxy", "SSL_CERT_FILE", "npm_config_registry",
    }  # fmt: skip


def test_the_table_has_one_row_for_each_root_and_user() -> None:
    rows = table([RUN, TEST]).splitlines()[2:]
    assert rows == [
        "| Debian 12 | root | 33 s | 54 s | 5 s | nothing | 337 MB | 1456 passed, 20 skipped | 596 s |"
    ]


@pytest.mark.parametrize(
    ("change", "cell"),
    [
        ({"base_said": "failed: no mirror"}, "| failed: no mirror |"),
        ({"left": ["celery worker"], "untracked": ["?? churn/"]}, "| celery worker, ?? churn/ |"),
        ({"answers": None}, "| it did not |"),
        ({"broken": "The cell ended with status 1; its log says why."}, "| The cell ended"),
    ],
)
def test_what_goes_wrong_stands_in_the_row(change: dict[str, Any], cell: str) -> None:
    assert cell in table([{**RUN, **change}])


@pytest.mark.parametrize(
    ("result", "good"),
    [
        (RUN, True),
        # make itself ends by Ctrl-C.
        ({**RUN, "status": -2}, True),
        ({**RUN, "base_said": "failed: no mirror"}, False),
        ({**RUN, "left": ["celery worker"]}, False),
        ({**RUN, "broken": "It was ended."}, False),
        (TEST, True),
        ({**TEST, "status": 2}, False),
    ],
)
def test_the_exit_status_tells_whether_all_went_well(result: dict[str, Any], good: bool) -> None:
    assert script.good(result) is good


def test_a_run_goes_on_with_the_cells_that_have_no_whole_result(tmp_path: Path) -> None:
    saved = tmp_path / "cell.json"
    assert script.result_of(saved, []) is None
    for result, kept in (
        (TEST, True),
        ({**TEST, "broken": "It was ended."}, False),
        ({**TEST, "pytest": ["tests/test_env.py"]}, False),
    ):
        saved.write_text(json.dumps(result))
        assert (script.result_of(saved, []) is not None) is kept


def test_the_table_replaces_the_last_one_in_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / script.DOCS
    page.parent.mkdir()
    page.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n")
    monkeypatch.setattr(script, "CHECKOUT", tmp_path)
    script.write_into_docs("new")
    assert page.read_text() == f"before\n{script.BEGIN}\nnew\n{script.END}\nafter\n"
    real = (Path(__file__).resolve().parents[1] / script.DOCS).read_text()
    assert real.count(script.BEGIN) == real.count(script.END) == 1
