"""The container image, built by buildah, and processes in it as an orchestrator would start them.

There is no container runtime here, so a mount namespace, a chroot and setpriv stand in for it: the root is
mounted for reading only, and the user is the image's own, without any capability.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rootfs import patched_debian

ROOT = Path(__file__).resolve().parents[2]
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# Where mounts go: of the image's own, what compose.yaml mounts; of the host's, what every runtime brings.
WRITABLE = ("/tmp", "/var/lib/ri-platform")
CACHE, SECRETS = "/var/cache/ri-platform", "/run/secrets"
HOSTS_OWN = ("/etc/resolv.conf", "/etc/hosts", AUTHORITIES)
# Where files are kept in memory, and how much of it has to be free.
MEMORY, ROOM = "/dev/shm", 4_000_000_000
# Its socket alone, for the folder that it lies in may be closed to the image's user.
POSTGRES_SOCKET = "/run/postgresql/.s.PGSQL.5432"


@dataclass
class Image:
    """A built image, mounted at `root`; `config` is the OCI image's."""

    root: Path
    config: dict[str, Any]
    size: int
    base_size: int
    mounts: dict[Path, str] = field(default_factory=dict)

    @property
    def user(self) -> int:
        return int(self.config["User"].partition(":")[0])

    def command(self, arguments: list[str], cache: Path, secrets: Path) -> list[str]:
        """`arguments` for the image's entry point, as the image's user, in namespaces that end with it."""
        root = shlex.quote(str(self.root))
        lines = ["set -e", f"mount --bind {root} {root}", f"mount -o remount,bind,ro {root}"]
        lines += [f"mount -t tmpfs -o mode=1777 tmpfs {root}{path}" for path in WRITABLE]
        bound = {cache: CACHE, secrets: SECRETS, Path("/dev"): "/dev", **self.mounts}
        bound |= {Path(path): path for path in HOSTS_OWN}
        lines += [f"mount --rbind {shlex.quote(str(a))} {root}{b}" for a, b in bound.items()]
        inside = [
            "setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups",
            "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--",
            "env", f"--chdir={self.config['WorkingDir']}", *self.config["Entrypoint"], *arguments,
        ]  # fmt: skip
        lines += [
            f"mount -t proc proc {root}/proc",
            f"exec /usr/sbin/chroot {root} {shlex.join(inside)}",
        ]
        return [
            "setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork",
            "--kill-child", "--", "sh", "-c", "\n".join(lines),
        ]  # fmt: skip

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """What the image sets, and what the orchestrator adds; nothing of this process's own."""
        own = dict(item.split("=", 1) for item in self.config["Env"])
        return {**own, **variables}


def in_memory(folder: Path) -> Path:
    """A folder in memory, if there is plenty; else `folder`.

    An image is tens of thousands of small files, which are written two or three times and then deleted.
    """
    try:
        place = os.statvfs(MEMORY)
        free = re.search(r"^MemAvailable: +([0-9]+) kB", Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        return folder
    room = min(place.f_bavail * place.f_frsize, int(free[1]) * 1024 if free else 0)
    if room < ROOM or place.f_flag & os.ST_NOEXEC:
        return folder
    return Path(tempfile.mkdtemp(prefix="ri-image-", dir=MEMORY))


def download_caches() -> list[str]:
    """Mounts of what `make install` has fetched already; nothing of it stays in the image."""
    home = Path.home()
    return [
        f"--volume={home / folder}:/root/{folder}"
        for folder in (".cache/uv", ".cache/pip")
        if (home / folder).is_dir()
    ]


@contextmanager
def built(folder: Path, cache: Path) -> Iterator[Image]:
    """Build deploy/Containerfile on a Debian that mmdebstrap made, and mount the result."""
    folder = in_memory(folder)
    buildah = [
        "buildah", "--root", str(folder / "root"), "--runroot", str(folder / "run"),
        "--storage-driver", "overlay",
    ]  # fmt: skip

    # Newer versions ask for a million open files and processes, which not every root may. Others lower the
    # processes to 32,768 before they look.
    limits = [
        f"--ulimit={name}={limit}:{limit}"
        for name, limit in (
            ("nofile", limit_of(resource.RLIMIT_NOFILE)),
            ("nproc", min(32_768, limit_of(resource.RLIMIT_NPROC))),
        )
    ]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*buildah, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    try:
        folder.mkdir(parents=True, exist_ok=True)
        rootfs = patched_debian(cache, folder)
        scratch = run("from", "scratch")
        run("add", "--quiet", scratch, str(rootfs), "/")
        run("commit", "--quiet", "--rm", scratch, "base")
        # As a network would need it that has authorities of its own.
        given = {"BASE": "localhost/base", "SSL_CERT_FILE": AUTHORITIES, "PIP_CERT": AUTHORITIES}
        run(
            "bud", "--quiet", "--isolation", "chroot", *limits,
            "--file", "deploy/Containerfile", "--tag", "ri",
            "--volume", f"{AUTHORITIES}:{AUTHORITIES}:ro", *download_caches(),
            *(f"--build-arg={name}={value}" for name, value in given.items()), *labels(), ".",
        )  # fmt: skip
        container = run("from", "localhost/ri")
        root = Path(run("mount", container))
        for path in (SECRETS, "/run/postgresql", "/proc", "/dev"):
            (root / path[1:]).mkdir(parents=True, exist_ok=True)
        for path in (*HOSTS_OWN, POSTGRES_SOCKET):
            (root / path[1:]).touch()
        sizes = {
            row["names"][0].partition(":")[0]: row["size"]
            for row in json.loads(run("images", "--json"))
            if row.get("names")
        }
        yield Image(
            root,
            json.loads(run("inspect", "--type", "image", "localhost/ri"))["OCIv1"]["config"],
            megabytes(sizes["localhost/ri"]),
            megabytes(sizes["localhost/base"]),
        )
    finally:
        subprocess.run([*buildah, "rm", "--all"], capture_output=True, check=False)
        subprocess.run([*buildah, "rmi", "--all", "--force"], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def limit_of(what: int) -> int:
    """The hard limit of this process, which a root of few privileges may not raise."""
    hard = resource.getrlimit(what)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


def labels() -> list[str]:
    """The arguments that deploy/README.md has a build given, from the script that it names."""
    done = subprocess.run(
        ["sh", "deploy/build-args.sh"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return shlex.split(done.stdout)


def megabytes(told: str) -> int:
    number, unit = told.split()
    return round(float(number) * {"kB": 0.001, "MB": 1, "GB": 1000}[unit])
