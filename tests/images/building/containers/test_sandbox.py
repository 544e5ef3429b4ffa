"""Who runs in a sandbox, what it leaves, and machines that cannot have one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from images.building.containers import container
from images.building.containers.sandbox import (
    USERS,
    CommandFailed,
)
from images.errors import SourceBuildFailed
from tests.images.building.containers.trying import (
    CONFINED,
    MB,
    PYTHON,
    Trying,
    command_of,
    processes_of_sandboxes,
    wait_until,
)

pytestmark = CONFINED


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


# --- package systems -------------------------------------------------------------------------------------


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


def test_what_one_installation_writes_is_not_seen_by_the_next_upon_the_same_files(
    trying: Trying, tmp_path: Path
) -> None:
    code = (
        "import os; print(os.path.exists('/var/mine'), open('/etc/hostname', 'a').tell() > 99);"
        "open('/var/mine', 'w'); open('/etc/hostname', 'a').write('x' * 100)"
    )
    before = Path("/etc/hostname").read_bytes()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        container.run_packages(trying.box, [PYTHON, "-I", "-c", code], tmp_path / name, {})
        assert trying.said[-1] == "False False"
        assert (tmp_path / name / "upper/var/mine").exists()
    assert (Path("/etc/hostname").read_bytes(), Path("/var/mine").exists()) == (before, False)


# --- a machine that cannot -------------------------------------------------------------------------------


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
