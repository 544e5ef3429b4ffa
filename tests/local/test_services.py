"""PostgreSQL of `make run`: its end is noticed, and it starts again on the same data and socket."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from ri_platform.local import services
from ri_platform.local.restarts import StartFailed
from ri_platform.local.services import Postgres
from ri_platform.local.state import choose_aws_port
from tests.local.make_run import ROOT
from tests.workers import until

pytestmark = pytest.mark.slow
PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(params=["reaped", "zombies"])
def orphans(request: pytest.FixtureRequest) -> Iterator[None]:
    """Orphans' ends are asked about, or not, as in a container whose first process does not expect any."""
    libc = ctypes.CDLL(None, use_errno=True)
    if request.param == "reaped":
        yield
        return
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
    try:
        yield
    finally:
        assert libc.prctl(PR_SET_CHILD_SUBREAPER, 0) == 0
        for child in psutil.Process().children():
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, 0)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="ri-postgres-"))
    folder.chmod(0o755)
    started = services.start_postgres(folder / "postgres")
    yield started
    started.stop()
    shutil.rmtree(folder, ignore_errors=True)


def start_again(postgres: Postgres) -> None:
    """As its supervisor does: what it left may still hold its memory for a moment."""
    for attempt in range(20):
        try:
            postgres.start_again()
        except StartFailed:
            assert attempt < 19
        else:
            return


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["immediate", "killed"])
def test_its_end_is_noticed_and_it_starts_again(
    orphans: None, postgres: Postgres, how: signal.Signals
) -> None:
    assert postgres.end() is None
    postgres.ensure_database("kept")
    url = postgres.url("kept")
    pid = postgres.server.get_pid()
    assert pid is not None
    os.kill(pid, how)
    until(lambda: postgres.end() is not None, 30)
    start_again(postgres)
    assert postgres.end() is None
    assert postgres.url("kept") == url
    with psycopg.connect(url) as link:
        assert link.execute("SELECT 1").fetchone() == (1,)
    path = postgres.server.get_postmaster_info().socket_path
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "database system is ready" in postgres.last_words()


def test_what_a_killed_caller_left_running_is_taken_over_and_stopped() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ri-postgres-"))
    folder.chmod(0o755)
    code = (
        "import os, pathlib, signal, sys; from ri_platform.local import services; "
        "services.start_postgres(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", code, str(folder / "postgres")]
    done = subprocess.run(command, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    left = int((folder / "postgres/postmaster.pid").read_text().split("\n", 1)[0])
    postgres = services.start_postgres(folder / "postgres")
    assert postgres.server.get_pid() == left
    postgres.stop()
    assert services.has_ended(postgres.server.get_postmaster_info().process)
    shutil.rmtree(folder)


def test_the_next_start_finds_what_was_killed_with_its_caller(
    orphans: None, postgres: Postgres
) -> None:
    pid = postgres.server.get_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: postgres.end() is not None, 30)
    # Its other processes may hold its memory for a moment.
    for process in psutil.process_iter(["cmdline"]):
        if str(postgres.server.pgdata) in " ".join(process.info["cmdline"] or []):
            process.wait(30)
    again = services.start_postgres(postgres.server.pgdata)
    assert again.server.get_pid() != pid
    again.ensure_database("kept")


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "its first line"])
def test_a_lock_with_the_number_of_another_process_keeps_nothing_from_starting(whole: bool) -> None:
    """As after a restart of the machine, above all of a container, where numbers are small."""
    folder = Path(tempfile.mkdtemp(prefix="ri-postgres-"))
    folder.chmod(0o755)
    data = folder / "postgres"
    first = services.start_postgres(data)
    lock = (data / "postmaster.pid").read_text().split("\n", 1)
    first.stop()
    (data / "postmaster.pid").write_text(f"{os.getppid()}\n{lock[1] if whole else ''}")
    again = services.start_postgres(data)
    again.ensure_database("kept")
    again.stop()
    shutil.rmtree(folder)


def test_a_start_that_fails_names_its_log(postgres: Postgres) -> None:
    pid = postgres.server.get_pid()
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    until(lambda: postgres.end() is not None, 30)
    settings = postgres.server.pgdata / "postgresql.auto.conf"
    kept = settings.read_text()
    settings.write_text("there_is_no_such_setting = 1\n")
    with pytest.raises(StartFailed, match=r"its log, .*/log, says why"):
        postgres.start_again()
    settings.write_text(kept)
    start_again(postgres)


def test_state_folders_choose_ports_of_their_own_although_neither_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same paths in every run, which so have the same ports.
    monkeypatch.chdir(tmp_path)
    folders = [Path("mine"), Path("yours")]
    for folder in folders:
        folder.mkdir()
    mine, yours = (choose_aws_port(folder) for folder in folders)
    assert mine != yours
    assert [choose_aws_port(folder) for folder in folders] == [mine, yours]


def test_no_outgoing_connection_takes_a_port_that_was_chosen() -> None:
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert all(services.free_port() < first for _ in range(20))
