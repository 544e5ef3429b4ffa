"""A newcomer's walk: `make run` in a checkout of its own, then what README and docs/api.md say, as written.

Two things are not as written: the port, since 8000 may be taken here, and /tmp, since others use it, too.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from ri_platform.env import read_env_file
from ri_platform.local import services
from tests.documentation.pages import PAGES, PRUNED, ROOT, Code
from tests.documentation.programs import EVERYWHERE, PYTHON
from tests.documentation.shell import commands
from tests.local.make_run import await_the_end_of_all, environment
from tests.services import share_debian

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.network]
# What these do takes minutes, and is tried elsewhere: tests/images/jobs/test_catalogue_image.py.
LONG = {"build_base_image"}
WALKED = {"curl", "skopeo", PYTHON} | EVERYWHERE
READY_SECONDS = 600


def steps(page: str) -> list[Code]:
    """The page's shell blocks that this walk runs: all, but for those that start, install or take minutes."""
    (found,) = (found for found in PAGES if found.name == page)
    blocks = [block for block in found.blocks() if block.language == "sh"]
    return [
        block
        for block in blocks
        if all(words[0] in WALKED and not LONG & set(words) for words in commands(block.text))
    ]


class Checkout:
    """A copy of this checkout with `make run` in it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.tmp = folder.parent / "tmp"
        self.bin = folder.parent / "bin"
        for made in (self.tmp, self.bin):
            made.mkdir()
        # A request that is refused ends the step.
        shim = self.bin / "curl"
        shim.write_text(f'#!/bin/sh\nexec {shutil.which("curl")} --fail-with-body "$@"\n')
        shim.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        kept = environment(self.folder / ".local", self.port)
        del kept["RI_STATE_DIR"], kept["PORT"]
        return kept | {"PATH": f"{self.bin}:{kept['PATH']}"}

    def start(self) -> subprocess.Popen[bytes]:
        with (self.tmp / "make-run.log").open("wb") as log:
            return subprocess.Popen(
                [PYTHON, "-m", "ri_platform.local"],
                cwd=self.folder,
                env=self.environment | {"PORT": str(self.port)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def run(self, text: str, **variables: str) -> str:
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}").replace(
            "/tmp/", f"{self.tmp}/"
        )
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=self.folder, env=self.environment | variables,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def await_base_image(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with suppress(psycopg.Error):
                url = read_env_file(self.folder / ".local/run.env").get("DATABASE_URL", "")
                with psycopg.connect(url.replace("%2F", "%2f")) as database:
                    found = database.execute(
                        "SELECT state FROM images_baseimage WHERE is_current OR state = 'failed'"
                    ).fetchall()
                assert ("failed",) not in found, (self.folder / ".local/run.log").read_text()[
                    -3000:
                ]
                if found:
                    return
            assert time.monotonic() < deadline, (self.tmp / "make-run.log").read_text()
            time.sleep(1)


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here: apt-get install curl")
    # PostgreSQL's own user must reach it when root starts it, and pytest closes its folders to others.
    place = Path(tempfile.mkdtemp(prefix="ri-walk-"))
    place.chmod(0o755)
    left_out = shutil.ignore_patterns(
        ".git", ".venv", ".local*", ".*_cache", ".hypothesis", *PRUNED
    )
    shutil.copytree(ROOT, place / "checkout", ignore=left_out)
    (place / "checkout/.venv").symlink_to(Path(sys.prefix))
    share_debian(place / "checkout/.local/cache")
    made = Checkout(place / "checkout", services.free_port())
    process = made.start()
    try:
        assert services.wait_until_answers(
            f"http://127.0.0.1:{made.port}/healthz", READY_SECONDS
        ), (made.tmp / "make-run.log").read_text()
        made.await_base_image()
        yield made
    finally:
        process.terminate()
        process.wait()
        await_the_end_of_all(made.folder / ".local")
        shutil.rmtree(place, ignore_errors=True)


def entries(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not {"__pycache__", ".local", ".venv"} & set(path.relative_to(folder).parts)
    }


def test_what_readme_and_api_page_say_works_and_leaves_nothing_in_the_checkout(
    checkout: Checkout,
) -> None:
    before = entries(checkout.folder)
    api, readme = steps("docs/api.md"), steps("README.md")
    assert len(api) >= 3
    assert [step for step in readme if "pull_image" in step.text]
    token = checkout.run(
        f'{PYTHON} manage.py create_api_token --user member --workspace "Workspace 1" --name walk'
    ).strip()
    with httpx.Client(
        base_url=f"http://127.0.0.1:{checkout.port}",
        headers={"rime-api-key": token},
        trust_env=False,
    ) as client:
        # Step 2 is done in a browser; its tests are tests/browser's.
        libraries = [{"name": "numpy"}, {"name": "pandas"}]
        await_image(client, "churn", {"pipRequirements": libraries})
        (workspace,) = [
            found["workspaceId"]["uuid"]
            for found in client.get("/v1/workspace").json()["workspaces"]
            if found["name"] == "Workspace 1"
        ]
        model = client.post(
            f"/v1/workspace/{workspace}/models", json={"name": "churn-model"}
        ).json()
        known = {"MODEL": model["model"]["modelId"]["uuid"]}
        swap = {"managedImageName": "churn"}
        assert client.put(f"/v1/models/{known['MODEL']}/image", json=swap).status_code == 200
        # One shell for the page, as its reader has it: what a step sets, the next one uses.
        told = checkout.run("\n".join(step.text for step in api), **known)
        assert "hello" in told
        assert "churn@sha256:" in told
    for step in readme:
        if "skopeo" in step.text and shutil.which("skopeo") is None:
            continue
        checkout.run(step.text)
    assert (checkout.tmp / "churn/index.json").is_file()
    assert entries(checkout.folder) == before


def await_image(client: httpx.Client, name: str, spec: dict[str, object]) -> None:
    answer = client.post("/v1/images", json={"name": name, **spec})
    assert answer.status_code == 200, answer.text
    deadline = time.monotonic() + READY_SECONDS
    while True:
        image = client.get(f"/v1/images/{name}").json()["image"]
        if image["status"] == "STATUS_READY":
            return
        assert image["status"] != "STATUS_FAILED", image
        assert time.monotonic() < deadline
        time.sleep(0.5)
