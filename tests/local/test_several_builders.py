"""`make run BUILDERS=4`: four builds workers under the supervisor, which share the builds."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ri_platform.local import services
from tests.faults.shelf import shelf
from tests.images.building.bases.layouts import ROOT as FILES
from tests.images.building.bases.layouts import image_of
from tests.local.make_run import (
    ROOT,
    environment,
    processes_of,
    said_until,
    start,
    state_folder,
    without_a_way_to_a_base_image,
)
from tests.workers import until

pytestmark = [pytest.mark.slow, pytest.mark.long]

BUILDERS = 4


class Together:
    """Keeps whoever asks for a library waiting until all builds have asked for theirs."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self._all_there = threading.Event()

    def __call__(self, path: str) -> None:
        if path.startswith("/simple/"):
            self.asked.add(path)
            if len(self.asked) >= BUILDERS:
                self._all_there.set()
            self._all_there.wait(600)


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def manage(state: Path, *arguments: str) -> str:
    """A command beside `make run`, with nothing set but where the state is."""
    kept = environment(state, 0)
    del kept["PORT"]
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=kept, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_four_builds_run_at_once(state: Path, tmp_path: Path) -> None:
    port, together = services.free_port(), Together()
    with shelf(tmp_path, before=together) as index:
        variables = {
            "BUILDERS": str(BUILDERS),
            "RI_MAX_RUNNING_BUILDS": str(BUILDERS),
            "RI_PACKAGE_INDEX_URL": f"http://127.0.0.1:{index}/simple",
            "RI_IMPORT_CHECK": "off",
            "RI_PREPARED_LAYERS": "false",
        }
        process = start(state, port, **without_a_way_to_a_base_image(tmp_path / "bin"), **variables)
        try:
            said_until(process, "The console is at")
            address = f"http://127.0.0.1:{port}"
            started = [line for line in processes_of(state) if "-Q builds" in line]
            assert sorted(line.split("-n ")[1].partition("@")[0] for line in started) == [
                f"builds-{number}" for number in range(1, BUILDERS + 1)
            ]
            layout = image_of(tmp_path / "layout", FILES)
            manage(state, "import_base_image", "--layout", str(layout), "--python-version", "3.11",
                   "--image-type", "tabular")  # fmt: skip
            token = manage(state, "create_api_token", "--user", "member", "--workspace",
                           "Workspace 1", "--name", "builds")  # fmt: skip
            headers = {"rime-api-key": token}
            with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
                for number in range(BUILDERS):
                    wanted = {"name": f"image-{number}", "imageType": "tabular",
                              "pythonVersion": "3.11",
                              "pipRequirements": [{"name": f"lib{number}"}]}  # fmt: skip
                    answer = client.post("/v1/images", json=wanted)
                    assert answer.status_code == 200, answer.text
                # A worker builds one image at a time: the index answers none before all four build.
                until(lambda: statuses(client) == {"STATUS_READY"}, 600)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
    assert len(together.asked) == BUILDERS


def statuses(client: httpx.Client) -> set[str]:
    images = client.get("/v1/images").json()["images"]
    failed = [image["name"] for image in images if image["status"] == "STATUS_FAILED"]
    assert not failed, failed
    return {image["status"] for image in images}
