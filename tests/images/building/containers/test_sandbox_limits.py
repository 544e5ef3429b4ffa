"""How much a sandbox may use, by trying to use more: what a build backend of a stranger would do."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from images.building.commands import TimedOut
from images.building.containers import cgroups
from images.building.containers.sandbox import CommandFailed
from images.errors import SourceBuildFailed, TooMuchOutput
from tests.images.building.containers.trying import (
    BUDGET,
    CONFINED,
    MB,
    Trying,
    processes_of_sandboxes,
    wait_until,
)

pytestmark = CONFINED


def test_a_fork_bomb_ends_at_the_limit_and_hurts_nobody_else(trying: Trying) -> None:
    forked = trying.tell("""
count = 0
try:
    while count < 5000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        count += 1
except OSError as error:
    assert error.errno == errno.EAGAIN
tell(count)
""")
    assert 1 < forked < BUDGET.processes
    assert subprocess.run(["true"], check=False).returncode == 0
    wait_until(lambda: not processes_of_sandboxes())


def test_memory_ends_for_one_process_and_for_all_together(trying: Trying) -> None:
    assert (
        trying.tell("""
try:
    bytearray(600_000_000)
    tell("had it")
except MemoryError:
    tell("refused")
""")
        == "refused"
    )
    if cgroups.problem():
        return
    # Each for itself is allowed; all together they are not.
    ended = trying.tell("""
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        open("/proc/self/oom_score_adj", "w").write("1000")
        held = bytearray(100_000_000)
        for place in range(0, len(held), 4096):
            held[place] = 1
        time.sleep(3)
        os._exit(0)
    children.append(child)
tell(sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
""")
    assert -signal.SIGKILL in ended
    with pytest.raises(CommandFailed) as caught:
        trying.results("""
child = os.fork()
held = b"x" * 300_000_000
if child == 0:
    time.sleep(5)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0)
""")
    assert "more memory than the 512 MB" in caught.value.said[-1]


def test_without_control_groups_memory_of_all_together_is_watched(
    trying: Trying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: ())
    assert "No control group for pids, memory, cpu can be made" in cgroups.problem()
    with pytest.raises(SourceBuildFailed, match="more memory than the 512 MB"):
        trying.results("""
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: to be somebody else's in /proc
for _ in range(8):
    if os.fork() == 0:
        break
held = b"x" * 100_000_000
time.sleep(60)
""")
    wait_until(lambda: not processes_of_sandboxes())


def test_what_it_writes_is_limited_and_everything_else_is_read_only(trying: Trying) -> None:
    found = trying.tell("""
def fill(folder):
    written = 0
    try:
        for number in range(100):
            with open(f"{folder}/{number}", "wb") as file:
                for _ in range(4):
                    written += file.write(bytes(1_000_000))
                    file.flush()
    except OSError as error:
        assert error.errno in (errno.ENOSPC, errno.EFBIG), error
    return written
def many(folder):
    try:
        for number in range(10_000_000):
            os.close(os.open(f"{folder}/file-{number}", os.O_CREAT))
    except OSError as error:
        return error.errno == errno.ENOSPC
elsewhere = {}
for folder in ("/", "/usr", "/etc", "/var/tmp", "/run", "/dev", "/build", "/root", "/home", "/opt"):
    try:
        open(f"{folder}/written", "w")
        elsewhere[folder] = "written"
    except OSError as error:
        pass
written = fill("/tmp") + fill("/build/out")
tell([written, fill("/dev/shm"), many("/dev/shm"), elsewhere])
""")
    written, shared, files_end, elsewhere = found
    assert 8 * MB < written <= 16 * MB
    assert shared <= 64 << 20
    assert files_end
    assert elsewhere == {}


def test_all_commands_together_have_one_deadline(settings: Any, tmp_path: Path) -> None:
    settings.CACHE_DIR = tmp_path
    trying = Trying(seconds=4)
    trying.results("time.sleep(2)").close()
    began = time.monotonic()
    with pytest.raises(TimedOut):
        trying.results("time.sleep(60)")
    assert time.monotonic() - began < 30
    wait_until(lambda: not processes_of_sandboxes())


def test_what_it_says_is_read_no_faster_than_it_is_dealt_with_and_not_without_end(
    trying: Trying,
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooMuchOutput, match="said more than 1 MB"):
        trying.results("while True: print('x' * 100_000)")
    with pytest.raises(TooMuchOutput):
        trying.results("while True: sys.stdout.write('x' * 100_000)")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 20 * MB
    assert max(map(len, trying.said)) < 2100
    wait_until(lambda: not processes_of_sandboxes())
