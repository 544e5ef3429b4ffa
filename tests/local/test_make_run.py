"""`make run` as a newcomer meets it: `python -m ri_platform.local` on a state folder of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ri_platform import processes
from ri_platform.env import read_env_file
from ri_platform.local import services
from tests.local.make_run import (
    ROOT,
    await_the_end_of_all,
    environment,
    processes_of,
    said_until,
    start,
    state_folder,
    without_a_way_to_a_base_image,
)

pytestmark = pytest.mark.slow


def console(port: int) -> httpx.Client:
    """Patient: the first pages are made while a base image is, and other tests may keep all cores busy."""
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=60, trust_env=False
    )


def ended_with(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def open_to_others(state: Path) -> list[str]:
    """What others than its owner may do something with; `cache/work-…` is at work, within closed folders."""
    found = [state, *state.rglob("*")]
    return [
        f"{path} {path.lstat().st_mode:o}"
        for path in found
        if not path.is_symlink() and "cache/work-" not in str(path) and path.lstat().st_mode & 0o077
    ]


def assert_is_its_owners_alone(state: Path) -> None:
    # When root starts it, PostgreSQL's own user goes through the folder to its own.
    searched = [f"{state} 40711"] if os.geteuid() == 0 else []
    assert open_to_others(state) == searched
    assert any((state / "postgres").rglob(".s.PGSQL.*"))


def test_started_used_and_stopped_it_leaves_nothing_and_keeps_everything(
    state: Path, tmp_path: Path
) -> None:
    port = services.free_port()
    process = start(state, port, **without_a_way_to_a_base_image(tmp_path / "bin"))
    try:
        begun = said_until(process, "could not be prepared")
        assert_failure_is_told(state, begun)
        assert services.wait_until_answers(f"http://127.0.0.1:{port}/healthz", 120)
        second = start(state, services.free_port())
        assert ended_with(second) == (
            1,
            f"\nIt is running already, at http://127.0.0.1:{port} (state in {state}).\n",
        )
        password = (state / "demo-password").read_text()
        with console(port) as client:
            sign_in(client, password)
        assert "Workspace 1" in workspaces_by_manage_py(state)
        assert set(read_env_file(state / "aws.env")) >= {
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
        }
        assert_only_two_have_an_aws_identity(state)
        assert_is_its_owners_alone(state)
        assert_what_is_killed_is_started_again(process, state, port)
    finally:
        process.send_signal(signal.SIGTERM)
        code, said = ended_with(process)
    assert code == 0, said
    await_the_end_of_all(state)

    # As an earlier version left it.
    for path in (state, state / "aws", state / "aws.env", state / "run.log"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    again = start(state, port)
    try:
        assert services.wait_until_answers(f"http://127.0.0.1:{port}/healthz", 120)
        assert_is_its_owners_alone(state)
        assert (state / "demo-password").read_text() == password
        with console(port) as client:
            sign_in(client, password)
    finally:
        again.send_signal(signal.SIGINT)
        code, said = ended_with(again)
    assert code == 0, said


def assert_what_is_killed_is_started_again(
    process: subprocess.Popen[str], state: Path, port: int
) -> None:
    """PostgreSQL, the local AWS, the console and a worker; then a page is there as before."""
    postmaster = int((state / "postgres/postmaster.pid").read_text().split("\n", 1)[0])
    os.kill(postmaster, signal.SIGKILL)
    said_until(process, "PostgreSQL ended. It is started again in 0.5 s.")
    for name, part in (("aws", "local.aws_server"), ("web", "granian"), ("builds", "-Q builds")):
        os.kill(leader_of(state, part), signal.SIGKILL)
        said_until(
            process, f"{name} was ended by the signal SIGKILL. It is started again in 0.5 s."
        )
    assert services.wait_until_answers(f"http://127.0.0.1:{port}/readyz", 120)
    with console(port) as client:
        sign_in(client, (state / "demo-password").read_text())
    assert "is started again in" in (state / "run.log").read_text()


def leader_of(state: Path, part: str) -> int:
    """The process of `make run` with this in its command line that leads a session."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and os.getsid(int(folder.name)) == int(folder.name):
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if part in command and str(state).encode() in (folder / "environ").read_bytes():
                    return int(folder.name)
    raise AssertionError(f"No process of make run has {part} in its command line.")


def assert_failure_is_told(state: Path, said: str) -> None:
    """Each step, the banner, and beneath it what is wrong with the base image and what to do."""
    steps, banner, news = said.partition("The console is at http://127.0.0.1:")
    assert banner
    for step in (
        "Starting PostgreSQL",
        "Preparing the database",
        "Preparing the pages",
        "Starting the local AWS",
        "Preparing accounts and the base image",
        "Starting the console",
    ):
        assert re.search(rf"^{step} … \d+\.\d s$", steps, re.MULTILINE), step
    told = news.splitlines()[-1]
    assert told.startswith("  The base image all for Python 3.11 could not be prepared: ")
    assert "mmdebstrap is not installed" in told
    assert told.endswith("It is tried again when make run is started again.")
    logged = [line for line in (state / "run.log").read_text().splitlines() if told.strip() in line]
    assert len(logged) == 1
    assert "[warning  ]" in logged[0]


def assert_only_two_have_an_aws_identity(state: Path) -> None:
    def workers(commands: list[str]) -> set[str]:
        return {found[1] for text in commands if (found := re.search(r"-Q (\w+)", text))}

    with_one = processes_of(state, b"AWS_SECRET_ACCESS_KEY=")
    assert workers(with_one) == set(processes.IDENTITIES)
    assert workers(processes_of(state)) == set(processes.WORKERS)
    assert not [
        text for text in with_one if "granian" in text or ("celery" in text and "beat" in text)
    ]


def sign_in(client: httpx.Client, password: str) -> None:
    page = client.get("/signin").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token is not None
    answer = client.post(
        "/signin",
        data={"csrfmiddlewaretoken": token[1], "login": "viewer", "password": password},
    )
    assert "Workspace 1" in answer.text


def workspaces_by_manage_py(state: Path) -> str:
    """What a `manage.py` command sees with nothing set but where the state is."""
    kept = environment(state, 0)
    del kept["PORT"]
    code = "from workspaces.models import Workspace; print(list(Workspace.objects.all()))"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", code],
        cwd=ROOT, env=kept, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_port_that_is_taken_is_a_sentence(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert ended_with(start(state, port)) == (
            1,
            f"\nPort {port} is taken. Choose another: PORT=8001 make run\n",
        )


def test_a_port_that_is_no_number_is_a_sentence(state: Path) -> None:
    values = {**environment(state, 0), "PORT": "http"}
    done = subprocess.run(
        [sys.executable, "-m", "ri_platform.local"],
        cwd=ROOT, env=values, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "PORT must be a number from 1.\n")
