"""A web process with several workers: they count together, and none of them is missed for long."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from ri_platform import web
from ri_platform.local import services
from tests.web_process import web_process

pytestmark = pytest.mark.slow

TOKEN = "a-token-that-nobody-guesses"
ASKED = 'ri_http_request_duration_seconds_count{method="GET",route="signin",status="200"}'


def counted(address: str) -> float:
    answer = httpx.get(f"{address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    found = re.search(re.escape(ASKED) + r" (\S+)", answer.text)
    return float(found[1]) if found else 0


def workers_that_counted(state: Path) -> set[int]:
    files = (state / "metrics").glob("web-*/histogram_*.db")
    return {int(file.stem.partition("_")[2]) for file in files}


def ask(address: str, times: int) -> None:
    # Each by a connection of its own, which the kernel gives to either worker.
    for _ in range(times):
        assert httpx.get(f"{address}/signin").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_any_worker_answers_with_the_sum_of_all_and_of_those_that_died(
    tmp_path: Path,
) -> None:
    variables = {
        "RI_STATE_DIR": str(tmp_path), "RI_STATIC_DIR": str(settings.STATIC_ROOT),
        "RI_WEB_WORKERS": "2", "RI_METRICS_TOKEN": TOKEN,
    }  # fmt: skip
    with web_process(services.free_port(), **variables) as address:
        asked = 0
        deadline = time.monotonic() + 60
        while len(workers_that_counted(tmp_path)) < 2 or asked < 20:
            ask(address, 10)
            asked += 10
            assert time.monotonic() < deadline
        assert {counted(address) for _ in range(10)} == {asked}
        os.kill(workers_that_counted(tmp_path).pop(), signal.SIGKILL)
        assert services.wait_until_answers(f"{address}/healthz", 60)
        assert {counted(address) for _ in range(5)} == {asked}
        while len(workers_that_counted(tmp_path)) < 3:
            ask(address, 1)
            asked += 1
            assert time.monotonic() < deadline + 60
        assert {counted(address) for _ in range(5)} == {asked}
        (folder,) = (tmp_path / "metrics").iterdir()
    # The next start begins with nothing, and leaves nothing of the one before.
    assert not list(web.counting_folder(tmp_path).glob("*.db"))
    assert not folder.exists()


def test_two_web_processes_with_one_state_folder_leave_each_others_counts(tmp_path: Path) -> None:
    first, second = web.counting_folder(tmp_path), web.counting_folder(tmp_path)
    assert first.exists()
    assert first != second


def test_workers_are_the_cores_of_the_container_up_to_four_unless_told(tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text("max 100000\n")
    machine = len(os.sched_getaffinity(0))
    assert web.cores(limit) == machine
    assert web.cores(tmp_path / "none") == machine
    limit.write_text("100000 100000\n")
    assert web.cores(limit) == 1
    limit.write_text("20000 100000\n")
    assert web.cores(limit) == 1
    assert web.workers_wanted({}) == min(web.cores(), 4)
    assert web.workers_wanted({"RI_WEB_WORKERS": "7"}) == 7
    for text in ("0", "-1", "two"):
        with pytest.raises(ValueError, match=r"^RI_WEB_WORKERS must be a number from 1\.$"):
            web.workers_wanted({"RI_WEB_WORKERS": text})
