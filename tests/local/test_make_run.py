"""`make run` as a newcomer meets it: `python -m ri_platform.local` on a state folder of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ri_platform import processes
from ri_platform.env import read_env_file
from ri_platform.local import services

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def environment(state: Path, port: int) -> dict[str, str]:
    ours = ("RI_", "AWS_", "DATABASE_", "CELERY_", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "RI_STATE_DIR": str(state), "PORT": str(port)}


def start(state: Path, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ri_platform.local"],
        cwd=ROOT,
        env=environment(state, port),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended_with(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def processes_of(state: Path, also: bytes = b"") -> list[str]:
    """Command lines of processes that have the state folder, and `also`, in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                theirs = (folder / "environ").read_bytes()
                if str(state).encode() in theirs and also in theirs:
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


def await_the_end_of_all(state: Path) -> None:
    """A base image being made is told to end, too, and needs a moment to unmount."""
    deadline = time.monotonic() + 15
    while left := processes_of(state):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)  # PostgreSQL's own user must reach it when root starts it
    yield tmp_path / "state"
    await_the_end_of_all(tmp_path / "state")


def test_started_used_and_stopped_it_leaves_nothing_and_keeps_everything(state: Path) -> None:
    port = services.free_port()
    process = start(state, port)
    try:
        assert services.wait_until_answers(f"http://127.0.0.1:{port}/healthz", 120)
        second = start(state, services.free_port())
        assert ended_with(second) == (
            1,
            f"\nIt is running already, at http://127.0.0.1:{port} (state in {state}).\n",
        )
        password = (state / "demo-password").read_text()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True) as client:
            sign_in(client, password)
        assert "Workspace 1" in workspaces_by_manage_py(state)
        assert set(read_env_file(state / "aws.env")) >= {
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
        }
        assert_only_two_have_an_aws_identity(state)
        for private in ("aws.env", "aws-keys.json", "run.env", "demo-password", "secret-key"):
            assert (state / private).stat().st_mode & 0o077 == 0, private
    finally:
        process.send_signal(signal.SIGTERM)
        code, said = ended_with(process)
    assert code == 0, said
    assert f"The console is at http://127.0.0.1:{port}" in said
    await_the_end_of_all(state)

    again = start(state, port)
    try:
        begun = time.monotonic()
        assert services.wait_until_answers(f"http://127.0.0.1:{port}/healthz", 60)
        assert time.monotonic() - begun < 60
        assert (state / "demo-password").read_text() == password
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True) as client:
            sign_in(client, password)
    finally:
        again.send_signal(signal.SIGINT)
        code, said = ended_with(again)
    assert code == 0, said


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
    assert (done.returncode, done.stderr) == (2, "PORT must be a number.\n")
