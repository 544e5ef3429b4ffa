"""Each limit of a sandbox, by trying to get past it: what a build backend of a stranger would do."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from images.building.commands import TimedOut
from images.building.containers import cgroups, container
from images.building.containers.sandbox import (
    USERS,
    CommandFailed,
)
from images.errors import SourceBuildFailed, TooMuchOutput
from tests.images.building.containers.trying import BUDGET, MB, PYTHON, Trying
from tests.needs import needs

pytestmark = [
    pytest.mark.slow,
    needs("confinement"),
    pytest.mark.skipif(
        not Path(PYTHON).exists(), reason="The system has no Python to try it with."
    ),
]


@pytest.fixture
def trying(settings: Any, tmp_path: Path) -> Trying:
    settings.CACHE_DIR = tmp_path / "cache"
    return Trying()


# --- who it is -------------------------------------------------------------------------------------------


def test_it_is_nobody_without_any_privilege_and_cannot_get_one(trying: Trying) -> None:
    found = trying.tell("""
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
refused = []
for name in ("setuid", "setgid"):
    try:
        getattr(os, name)(0)
    except OSError as error:
        refused.append(name)
inside, outside, count = open("/proc/self/uid_map").read().split()
tell({
    "user": [os.getuid(), os.getgid(), os.getgroups()],
    "capabilities": {status[name].strip() for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16},
    "no_new_privs": status["NoNewPrivs"], "filter": status["Seccomp"], "refused": refused,
    "map": [inside, count], "outside": int(outside),
    "nosuid": all("nosuid" in line.split()[3] for line in open("/proc/mounts")),
})
""")
    assert found.pop("outside") in USERS
    assert found == {
        "user": [65534, 65534, []],
        "capabilities": True,
        "no_new_privs": "1",
        "filter": "2",
        "refused": ["setuid", "setgid"],
        "map": ["65534", "1"],
        "nosuid": True,
    }


def test_it_sees_nothing_of_the_workers_environment(
    trying: Trying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    found = trying.tell("""
others = "".join(open(f"/proc/{p}/environ").read() for p in os.listdir("/proc") if p.isdigit())
tell([sorted(os.environ), "secret" in others])
""")
    assert found == [["HOME", "LC_ALL", "PATH", "PWD"], False]


# --- how much it may use ---------------------------------------------------------------------------------


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


# --- what it reaches -------------------------------------------------------------------------------------


def test_of_devices_there_are_the_harmless_ones_alone(trying: Trying) -> None:
    found = trying.tell("""
refused = []
for kind, number in ((0o060000, os.makedev(8, 0)), (0o020000, os.makedev(1, 1))):
    try:
        os.mknod("/tmp/device", kind | 0o600, number)
    except OSError:
        refused.append(kind)
tell([sorted(os.listdir("/dev")), len(refused)])
""")
    assert found == [
        ["core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
         "tty", "urandom", "zero"],
        2,
    ]  # fmt: skip


def test_it_has_no_network(trying: Trying, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as worker, socket.socket(socket.AF_UNIX) as hidden:
        # An abstract socket, as daemons use, belongs to a network namespace and to no file.
        hidden.bind(f"\0ri-test-{os.getpid()}")
        hidden.listen()
        found = trying.tell(f"""
import socket
def reached(family, address, kind=socket.SOCK_STREAM):
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(2)
            one.connect(address)
        return True
    except OSError:
        return False
tell([
    [name for _, name in socket.if_nameindex()],
    reached(socket.AF_INET, ("127.0.0.1", {worker.getsockname()[1]})),
    reached(socket.AF_INET, ("192.0.2.1", 80)),
    reached(socket.AF_UNIX, "\\0ri-test-{os.getpid()}"),
    reached(40, (2, 1024)),  # AF_VSOCK: the machine's own host
    reached(38, ("hash", "sha256")),  # AF_ALG
])
""")
    assert found == [["lo"], False, False, False, False, False]


def test_the_one_socket_that_the_worker_answers_is_reached(trying: Trying) -> None:
    @contextmanager
    def serving(listener: socket.socket) -> Iterator[None]:
        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"from the worker")

        Thread(target=answer, daemon=True).start()
        yield

    found = trying.tell(
        "import socket\ntell(socket.create_connection(('127.0.0.1', 3141), 5).recv(99).decode())",
        serving=serving,
        port=3141,
    )
    assert found == "from the worker"


def test_a_neighbour_is_out_of_sight_and_out_of_reach(trying: Trying, settings: Any) -> None:
    neighbour = Trying()
    ended: list[str] = []

    def live() -> None:
        neighbour.results("print('up', flush=True)\ntime.sleep(5)\nprint('unhurt')").close()
        ended.extend(neighbour.said)

    thread = Thread(target=live)
    thread.start()
    deadline = time.monotonic() + 60
    while "up" not in neighbour.said and time.monotonic() < deadline:
        time.sleep(0.05)
    (victim,) = {
        pid for pid in processes_of_sandboxes() if command_of(pid).startswith(PYTHON.encode())
    }
    found = trying.tell(f"""
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
libc = ctypes.CDLL(None, use_errno=True)
refused = {{}}
for pid in ({victim}, {os.getpid()}):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        refused[str(pid)] = errno.errorcode[error.errno]
try:
    os.kill(-1, signal.SIGTERM)
except ProcessLookupError:
    pass  # There is nobody but itself.
child = os.fork()
if child == 0:
    time.sleep(30)
traced = libc.ptrace(16, child, 0, 0), errno.errorcode[ctypes.get_errno()]
os.kill(child, signal.SIGKILL)
tell([sorted(set(refused.values())), traced,
      [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) > 100]])
""")
    thread.join()
    assert found == [["ESRCH"], [-1, "EPERM"], []]
    assert ended == ["up", "unhurt"]


# x86-64's numbers, and what each is asked here so that nothing but the filter refuses it.
CALLS = {
    "unshare a user namespace": (272, 0x10000000),
    "clone with a user namespace": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "setns": (308, 3, 0),
    "keyctl": (250, 0, -3, 1),
    "add_key": (248, 0, 0, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 1),
    "io_uring_setup": (425, 1, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "chroot": (161, 0),
    "modify_ldt": (154, 0, 0, 0),
    "open_by_handle_at": (304, 0, 0, 0),
}


def test_system_calls_that_no_build_needs_are_refused(trying: Trying) -> None:
    found = trying.tell(f"""
libc = ctypes.CDLL(None, use_errno=True)
refused = {{}}
for name, arguments in {CALLS!r}.items():
    ctypes.set_errno(0)
    answer = libc.syscall(*(ctypes.c_long(value) for value in arguments))
    if answer == 0 and name.startswith("clone"):
        os._exit(0)
    refused[name] = errno.errorcode.get(ctypes.get_errno(), "allowed") if answer < 0 else "allowed"
libc.syscall(435, 0, 0)
clone3 = errno.errorcode[ctypes.get_errno()]
libc.ioctl(0, 0x5412, b"x")
terminal = errno.errorcode[ctypes.get_errno()]
child = os.fork()
if child == 0:
    import mmap
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("b814000000 cd80 c3"))  # getpid by the 32-bit entry
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    os._exit(0)
by_32_bit = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
tell([refused, clone3, terminal, by_32_bit])
""")
    refused, clone3, terminal, by_32_bit = found
    assert refused == dict.fromkeys(CALLS, "EPERM")
    assert (clone3, terminal) == ("ENOSYS", "EPERM")
    assert by_32_bit in (-signal.SIGSYS, -signal.SIGSEGV)


# --- what it leaves --------------------------------------------------------------------------------------


def test_nothing_that_one_wrote_is_seen_by_the_next(trying: Trying, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir(mode=0o700)
    (given / "file").write_text("of the worker")
    name = f"left-{tmp_path.name}-{os.getpid()}"
    places = [f"{folder}/{name}" for folder in ("/tmp", "/dev/shm", "/build/out", "/tmp/cache")]
    code = f"""
os.makedirs("/tmp/cache", exist_ok=True)
seen = [place for place in {places!r} if os.path.exists(place)]
for place in {places!r}:
    open(place, "w").write("x")
try:
    open("/build/given/file", "w")
except OSError as error:
    seen.append(errno.errorcode[error.errno])
tell(seen + [open("/build/given/file").read()])
"""
    for _ in range(2):
        assert trying.tell(code, given=given) == ["EROFS", "of the worker"]
    for place in places:
        assert not Path(place).exists()


def test_it_works_whatever_the_workers_umask_is(trying: Trying, tmp_path: Path) -> None:
    given, tool = tmp_path / "given", tmp_path / "tool"
    tool.write_bytes(container.smallest_program())
    tool.chmod(0o700)
    before = os.umask(0o077)
    try:
        given.mkdir()
        (given / "file").write_text("of the worker")
        found = trying.tell(
            """
import subprocess
made = os.open("/build/out/made", os.O_CREAT)
tell([open("/build/given/file").read(), subprocess.call(["/build/uv"]), oct(os.fstat(made).st_mode)])
""",
            given=given,
            uv=tool,
        )
    finally:
        os.umask(before)
    assert found == ["of the worker", 0, "0o100755"]


def test_of_results_only_plain_files_of_a_size_are_taken(trying: Trying, tmp_path: Path) -> None:
    with trying.results("""
os.chdir("/build/out")
open("wheel", "wb").write(b"of a build")
os.symlink("/etc/passwd", "link")
os.mkfifo("pipe")
os.mkdir("folder")
open("big", "wb").truncate(10_000_000)
""") as results:
        assert results.names() == ["big", "folder", "link", "pipe", "wheel"]
        for name in ("big", "folder", "link", "pipe", "missing", "../etc/passwd"):
            with pytest.raises(SourceBuildFailed):
                results.take(name, tmp_path / "taken", MB)
            assert not (tmp_path / "taken").exists()
        results.take("wheel", tmp_path / "taken", MB)
    assert (tmp_path / "taken").read_bytes() == b"of a build"


def test_what_a_command_leaves_running_ends_with_it(trying: Trying) -> None:
    trying.results("""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
""").close()
    wait_until(lambda: not processes_of_sandboxes())


def test_a_worker_that_is_killed_takes_its_sandbox_along(settings: Any, tmp_path: Path) -> None:
    code = f"""
import django; django.setup()
from django.conf import settings
from pathlib import Path
settings.CACHE_DIR = Path({str(tmp_path)!r})
from tests.images.building.containers.trying import Trying
Trying().results("import time; time.sleep(600)")
"""
    with subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ)) as worker:
        wait_until(lambda: any(b"sleep(600)" in command_of(p) for p in processes_of_sandboxes()))
        worker.kill()
    wait_until(lambda: not processes_of_sandboxes())


def test_a_failing_command_is_told_with_its_words(trying: Trying) -> None:
    with pytest.raises(CommandFailed) as caught:
        trying.results("sys.exit('no compiler found')")
    assert caught.value.said[-1] == "no compiler found"


# --- package systems ---------------------------------------------------------------------------------------


def test_a_package_system_is_root_of_little(trying: Trying, tmp_path: Path) -> None:
    code = """
import json, os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
os.chown(os.open("/var/installed", os.O_CREAT), 7, 7)
try:
    os.mknod("/var/disk", 0o060600, os.makedev(8, 0)); open("/var/disk")
    disk = "opened"
except OSError:
    disk = "refused"
print(json.dumps([os.getuid(), status["CapBnd"], sorted(os.listdir("/dev"))[:3], disk,
    [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 100]]))
"""
    container.run_packages(trying.box, [PYTHON, "-I", "-c", code], tmp_path, {})
    user, capabilities, devices, disk, others = json.loads(trying.said[-1])
    # Neither the machine's administration nor modules, raw devices, tracing or networks are among them.
    assert int(capabilities, 16) & sum(1 << bit for bit in (12, 13, 16, 17, 19, 21, 22, 25)) == 0
    assert (user, devices, disk, others) == (0, ["core", "fd", "full"], "refused", [])
    assert (tmp_path / "upper/var/installed").stat().st_uid == 7
    assert not Path("/var/installed").exists()


# --- a machine that cannot ---------------------------------------------------------------------------------


def test_a_machine_that_cannot_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert container.trial("confined") == "buildah is not installed on the builds workers."


def test_it_works_in_a_chroot_whose_root_is_no_mount_point(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        set -e
        cd {tmp_path}; mkdir -p jail; cd jail
        for folder in $(ls /); do
          case $folder in proc|sys|dev|tmp) continue;; esac
          if [ -L /$folder ]; then cp -P /$folder $folder; elif [ -d /$folder ]; then
            mkdir $folder; mount --rbind /$folder $folder; fi
        done
        mkdir proc sys dev tmp; mount --rbind /proc proc; mount --rbind /dev dev
        for folder in {os.getcwd()} {sys.prefix} {sys.base_prefix}; do
          case $folder in /tmp/*) mkdir -p ./$folder; mount --bind $folder ./$folder;; esac
        done
        cat > tmp/try.py <<END
        import django; django.setup()
        from images.building.containers import container
        print([container.trial(kind) for kind in ("packages", "confined")])
        END
        chroot . sh -c 'cd {os.getcwd()}; exec {sys.executable} /tmp/try.py'
    """)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "RI_CACHE_DIR": "/tmp", "PYTHONPATH": os.getcwd()},
        check=False,
    )
    assert done.stdout.strip() == "['', '']", done.stderr


def processes_of_sandboxes() -> list[int]:
    """Those of this machine that run as a user of sandboxes."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid in USERS:
                found.append(int(path.name))
        except FileNotFoundError:
            continue
    return found


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_until(holds: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "It did not come about."
        time.sleep(0.05)
