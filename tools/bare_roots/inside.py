"""The first process in a bare root: it mounts the usual file systems, runs one cell and reports the result.

Run by `tools.bare_roots.__main__` under `unshare --mount --pid --fork`, as root. It is process 1 of its
namespace, so all that a cell starts ends with it. Whatever it needs is imported before it enters the root.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - a look-up of a name imports it, which takes the host's files
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ANSWER_SECONDS, BASE_SECONDS, STOP_SECONDS, TEST_SECONDS = 1200.0, 1800.0, 120.0, 3 * 3600.0
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Says `succeeded` or `failed: reason` once the last base image is one or the other.
WATCH = """
import time
from images.models import BaseImage
while True:
    states = [(base.state, base.error_message) for base in BaseImage.objects.all()]
    if any(state == "succeeded" for state, _ in states):
        print("succeeded"); break
    if states and all(state == "failed" for state, _ in states):
        print("failed:", states[-1][1]); break
    time.sleep(0.5)
"""


@dataclass(frozen=True)
class Spec:
    """A cell: the root's folder, who runs what in it, and with which variables.

    `mount_point` says whether the root is one; if not, it is a chroot into a plain folder. `folders` are
    the host's, mounted at the same paths. `packages` are installed by root before.
    """

    root: str
    mount_point: bool
    uid: int
    home: str
    what: str
    port: int
    log: str
    variables: dict[str, str]
    folders: list[str]
    prepared: bool
    pytest: list[str] = field(default_factory=list)

    @property
    def checkout(self) -> str:
        return f"{self.home}/ri-platform"


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def enter(spec: Spec) -> None:
    """Make the root this process's own, with /proc, /sys, /dev and the host's package folders in it."""
    root = Path(spec.root)
    if spec.mount_point:
        mount("--bind", str(root), str(root))
    mount("-t", "proc", "proc", str(root / "proc"))
    mount("--rbind", "/sys", str(root / "sys"))
    dev = root / "dev"
    mount("-t", "tmpfs", "-o", "mode=755,size=1m", "dev", str(dev))
    for name in DEVICES:
        (dev / name).touch()
        mount("--bind", f"/dev/{name}", str(dev / name))
    for name, kind, options in (
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"),
        ("shm", "tmpfs", "mode=1777"),
    ):
        (dev / name).mkdir()
        mount("-t", kind, "-o", options, kind, str(dev / name))
    for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"),
                         ("stdout", "fd/1"), ("stderr", "fd/2")):  # fmt: skip
        (dev / name).symlink_to(target)
    for folder in spec.folders:
        at = root / folder[1:]
        at.mkdir(parents=True, exist_ok=True)
        mount("--bind", "-o", "ro", folder, str(at))
    os.chdir(root)
    if spec.mount_point:
        # pivot_root(2), "pivot_root(".", ".")": the old root lies over the new one until it is unmounted.
        subprocess.run(["pivot_root", ".", "."], check=True)
        subprocess.run(["umount", "-l", "."], check=True)
    else:
        os.chroot(".")
    os.chdir("/")


class Cell:
    """One cell being run; `result` is what it found, in seconds, megabytes and counts."""

    def __init__(self, spec: Spec, log: Any) -> None:
        self.spec, self.log = spec, log
        self.result: dict[str, Any] = {}
        self.environment = {"LANG": "C.UTF-8", "TERM": "dumb", **spec.variables}

    def start(
        self, command: list[str], as_root: bool = False, **more: Any
    ) -> subprocess.Popen[Any]:
        uid = 0 if as_root else self.spec.uid
        self.say(f"$ {' '.join(command)[:200]}")
        return subprocess.Popen(
            command, cwd=self.spec.checkout, user=uid, group=uid, extra_groups=[],
            env={**self.environment, **self.login(uid), "PORT": str(self.spec.port)},
            stdin=subprocess.DEVNULL, stderr=self.log, start_new_session=True,
            **{"stdout": self.log, **more},
        )  # fmt: skip

    def login(self, uid: int) -> dict[str, str]:
        """The environment that login(1) sets on Debian."""
        name, home = ("root", "/root") if uid == 0 else ("newcomer", self.spec.home)
        path = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
        if uid == 0:
            path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": home, "USER": name, "LOGNAME": name, "SHELL": "/bin/bash"}

    def say(self, text: str) -> None:
        self.log.write(f"--- {text}\n".encode())
        self.log.flush()

    def prepare(self) -> None:
        """Run `sudo make packages`, as an administrator does for the users of a machine."""
        if self.start(["make", "packages"], as_root=True).wait() != 0:
            raise SystemExit("make packages failed")

    def make_run(self) -> None:
        mounts, begun = Path("/proc/self/mounts").read_text(), time.monotonic()
        run = self.start(["make", "run"])
        url = f"http://127.0.0.1:{self.spec.port}/healthz"
        if not self.wait_until(lambda: answers(url), ANSWER_SECONDS, run):
            self.result["answers"] = None
        else:
            self.result["answers"] = time.monotonic() - begun
            self.base(begun)
        asked = time.monotonic()
        if run.poll() is None:
            # As a terminal does it: to all processes of the foreground.
            os.killpg(run.pid, signal.SIGINT)
        try:
            self.result["status"] = run.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.result["status"] = None
        self.result["stop"] = time.monotonic() - asked
        self.result["left"] = left_processes()
        if Path("/proc/self/mounts").read_text() != mounts:
            self.result["left"].append("mounts")
        self.result["venv_mb"] = size_of(Path(self.spec.checkout, ".venv")) / 1e6
        self.result["untracked"] = self.untracked_files()

    def base(self, begun: float) -> None:
        command = [".venv/bin/python", "manage.py", "shell", "-v", "0", "-c", WATCH]
        watch = self.start(command, stdout=subprocess.PIPE, text=True)
        try:
            said = watch.communicate(timeout=BASE_SECONDS)[0].strip()
        except subprocess.TimeoutExpired:
            watch.kill()
            watch.wait()
            said = f"failed: not there after {BASE_SECONDS:.0f} s"
        self.say(f"base image: {said}")
        self.result["base"] = time.monotonic() - begun
        self.result["base_said"] = said.splitlines()[-1] if said else "failed: nobody knows"

    def untracked_files(self) -> list[str]:
        listed = self.start(["git", "status", "--porcelain"], stdout=subprocess.PIPE, text=True)
        return str(listed.communicate()[0]).splitlines()

    def make_test(self) -> None:
        # A part of the suite is for trying the script: then without lint, which takes minutes here.
        part = ["-o", "lint", "-o", "audit"] if self.spec.pytest else []
        if self.spec.pytest:
            self.environment["PYTEST_ADDOPTS"] = " ".join(self.spec.pytest)
            self.start(["make", "install"]).wait()
        begun, offset = time.monotonic(), self.log.tell()
        test = self.start(["make", *part, "test"])
        try:
            self.result["status"] = test.wait(TEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(test.pid, signal.SIGKILL)
            self.result["status"] = test.wait()
        self.result["seconds"] = time.monotonic() - begun
        self.log.flush()
        os.lseek(self.log.fileno(), offset, os.SEEK_SET)
        self.result["counts"] = counts(self.log.read().decode("utf-8", "replace"))

    def wait_until(
        self, true: Callable[[], bool], seconds: float, run: subprocess.Popen[Any]
    ) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and run.poll() is None:
            if true():
                return True
            time.sleep(0.2)
        return False


def answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return False
    except OSError:
        return False


def left_processes() -> list[str]:
    """The command lines of all processes here but this one."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and folder.name != "1":
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                dead = ") Z " in (folder / "stat").read_text()
            except OSError:
                continue
            if not dead:
                found.append(b" ".join(words).decode("utf-8", "replace").strip()[:200])
    return found


def size_of(folder: Path) -> int:
    """Bytes on disk, a file with several names once."""
    seen: dict[int, int] = {}
    for path, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(path, name))
            seen[status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def counts(said: str) -> dict[str, int]:
    """`{"passed": 3, "skipped": 1}` of pytest's last line; empty if there is none."""
    last = re.findall(r"^=* ?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s", said, re.MULTILINE)
    return {kind: int(n) for n, kind in re.findall(r"(\d+) ([a-z]+)", last[-1])} if last else {}


def main(arguments: list[str]) -> None:
    spec = Spec(**json.loads(arguments[0]))
    with os.fdopen(int(arguments[1]), "w") as out, open(spec.log, "a+b") as log:
        enter(spec)
        cell = Cell(spec, log)
        if spec.prepared:
            cell.prepare()
        cell.make_run() if spec.what == "run" else cell.make_test()
        json.dump(cell.result, out)


if __name__ == "__main__":
    main(sys.argv[1:])
