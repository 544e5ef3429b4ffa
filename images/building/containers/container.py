"""A base image's files on this disk, and what its own package system makes of them.

buildah unpacks the image, and `images.building.containers.base_roots` keeps that. Commands run upon it as
an overlay, in a sandbox of the other kind: package systems run as root and reach the network, in namespaces
of their own, without the machine's devices, with the few capabilities that they take, within limits. Commands
are argument lists; nothing goes by way of a shell or a Containerfile.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from django.conf import settings

from images.building.bases.content import blobs_of
from images.building.bases.layout import complete_layout
from images.building.cache import caches, work_folder
from images.building.commands import Deadline, OutputExcerpt, TimedOut, run_streaming
from images.building.containers import cgroups, enter
from images.building.containers.sandbox import (
    PATH,
    Budget,
    CommandFailed,
    Sandbox,
    SandboxBroken,
    execute,
)
from images.building.workshop import name_of
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import hex_of

TOOLS = {"buildah": "buildah", "bwrap": "bubblewrap"}
# Where containers/storage keeps unpacked images, in a work folder.
STORAGE = "storage"
TRIAL_SECONDS = 30.0
# A machine that could not is asked again after so many seconds; one that could, can.
ASK_AGAIN = 60.0


def problem() -> str:
    """The reason that this machine cannot install OS packages, as tried; empty if it can."""
    return _trials.problem("packages")


def confinement_problem() -> str:
    """The reason that this machine cannot run build code in a sandbox, as tried; empty if it can."""
    return problem() or _trials.problem("confined")


def is_tried() -> bool:
    """Whether this process has tried to install OS packages, as workers do when they start."""
    return _trials.is_tried("packages")


class Trials:
    """Remembers what came out, so that a build that takes no sandbox does not pay for one."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, str]] = {}

    def is_tried(self, kind: str) -> bool:
        return kind in self._found

    def problem(self, kind: str) -> str:
        when, found = self._found.get(kind, (0.0, "?"))
        if (found and time.monotonic() - when > ASK_AGAIN) or found == "?":
            found = trial(kind)
            self._found[kind] = (time.monotonic(), found)
        return found


_trials = Trials()


def trial(kind: str) -> str:
    """Really run a command in a sandbox; why that failed as a sentence, empty if it did not.

    `kind` is "confined", as build code of strangers runs, or "packages", as apt and dnf do.
    """
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            return f"{package} is not installed on the builds workers."
    if os.geteuid() != 0:
        return "The builds workers do not run as root, which sandboxes take."
    with work_folder(settings.CACHE_DIR, "trial") as work:
        (work / "root").mkdir()
        (work / "root/true").write_bytes(smallest_program())
        (work / "root/true").chmod(0o755)
        budget = Budget(memory=1 << 30, disk=1 << 20, processes=64, cpus=1, output=1 << 20)
        deadline = Deadline(TRIAL_SECONDS)
        box = Sandbox([work / "root"], deadline, lambda line: None, lambda: None, budget)
        try:
            unpack("scratch", work, work, budget=budget, deadline=deadline, check=lambda: None)
            if kind == "confined":
                box.run(["/true"], environment={}).close()
            else:
                run_packages(box, ["/true"], work, {})
        except (SandboxBroken, CommandFailed) as error:
            return f"The builds workers cannot make sandboxes: {error}"
        except TimedOut:
            return f"The builds workers made no sandbox within {TRIAL_SECONDS:.0f} seconds."
    return ""


def smallest_program() -> bytes:
    """An ELF program for x86-64 that ends at once with status 0 and needs no file beside it (elf(5))."""
    # xor edi, edi; mov eax, 60 (exit); syscall
    code = bytes.fromhex("31ff b83c000000 0f05")
    start, size = 0x400000, 64 + 56 + len(code)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, start + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000) + code


class Container:
    """The files of an image, which are the folders `lowers`, and an overlay of changes in the folder `work`.

    Its methods raise `CommandFailed` and `SandboxBroken`, and `TimedOut` past the deadline, which holds for
    all commands together.
    """

    def __init__(
        self,
        lowers: Sequence[Path],
        work: Path,
        budget: Budget,
        deadline: Deadline,
        log: Callable[[str], None],
        check: Callable[[], None],
    ) -> None:
        self._log, self._check, self._budget, self._deadline = log, check, budget, deadline
        self._work = work
        self.lowers = lowers

    def run(self, command: Sequence[str], *, log: Callable[[str], None] | None = None) -> None:
        """Run a command as root with the worker's network; its lines go to `log`, or the build's log."""
        run_packages(self.sandbox(log), command, self._work, proxies(os.environ))

    def sandbox(self, log: Callable[[str], None] | None = None) -> Sandbox:
        """A sandbox upon these files that leaves them as they are."""
        return Sandbox(self.lowers, self._deadline, log or self._log, self._check, self._budget)

    def make_sandbox(self, *, deadline: Deadline, budget: Budget) -> Sandbox:
        """A sandbox upon these files with the changes that commands made, with limits of its own."""
        upper = [self.upper()] if self.upper().exists() else []
        return Sandbox([*upper, *self.lowers], deadline, self._log, self._check, budget)

    def upper(self) -> Path:
        """The folder with what commands changed (overlayfs' upper layer)."""
        return self._work / "upper"


def unpacked_in(storage: Path) -> list[Path]:
    """The layers of the image that `unpack` left in a storage, the uppermost first (containers/storage)."""
    overlay = storage / "overlay"
    # Newer versions keep a build's containers in the second, as what need not survive the machine.
    listed = [
        path
        for name in ("containers.json", "volatile-containers.json")
        if (path := storage / "overlay-containers" / name).exists()
    ]
    containers = [item for path in listed for item in json.loads(path.read_text("utf-8"))]
    own = overlay / str(containers[0]["layer"])
    below = (own / "lower").read_text(encoding="utf-8").split(":")
    return [(overlay / link).resolve(strict=True) for link in below]


def unpack(
    image: str,
    folder: Path,
    work: Path,
    *,
    budget: Budget,
    deadline: Deadline,
    check: Callable[[], None],
) -> None:
    """Have buildah unpack an image into the storage in `work`. Raises `SandboxBroken` with its words.

    `image` is `oci:` and a layout's name in `folder`, or `scratch`.
    """
    command = [
        "buildah", "--root", str(work / STORAGE), "--runroot", str(work / "run"),
        "--storage-driver", "overlay", "from", "--quiet", "--name", "build", image,
    ]  # fmt: skip
    specification = {
        "kind": "tool", "parent": os.getpid(), "cgroups": [], "folder": str(folder),
        "command": command,
    }  # fmt: skip
    said = OutputExcerpt()
    status = run_streaming(
        [sys.executable, "-I", enter.__file__, json.dumps(specification)],
        log=said.append,
        check=check,
        timeout=deadline.seconds_left(),
        environment=environment(os.environ),
        limit=budget.output,
    )
    if status != 0:
        raise SandboxBroken(f"The base image cannot be unpacked: {said.text()[-1000:]}")


def run_packages(
    box: Sandbox, command: Sequence[str], work: Path, given: Mapping[str, str]
) -> None:
    """Run a command as root upon an overlay whose changes go to `work`/upper, with the network."""
    upper, scratch = work / "upper", work / "overlay-work"
    for folder in (upper, scratch):
        folder.mkdir(exist_ok=True)
        # The overlay's root looks like its upper folder, and every user is to walk it.
        folder.chmod(0o755)
    budget = box.budget
    specification = {
        "kind": "packages",
        "uid": None,
        "upper": str(upper),
        "workdir": str(scratch),
        "port": 0,
        "limits": budget.rlimits(count_processes=False),
        "environment": {
            **given,
            "PATH": PATH,
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        },
    }
    limits = cgroups.Budget(budget.processes, budget.memory, budget.cpus)
    with cgroups.group(limits) as group:
        execute(box, command, specification, group.joins, None, confined=False).close()


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment as buildah sees it: without its AWS identity and its settings."""
    return {name: own[name] for name in ("PATH", "HOME", "TMPDIR") if name in own}


def proxies(own: Mapping[str, str]) -> dict[str, str]:
    """The part of it for package systems: the way to their mirrors."""
    passed = ("http_proxy", "https_proxy", "no_proxy")
    return {name: own[name] for name in passed if name in own}


def base_layout(
    client: RegistryClient, repository: str, digest: str, layout: Path, check: Callable[[], None]
) -> Path:
    """A base image as an OCI layout in the folder `layout`, its layers from the cache or the registry."""
    if (layout / "index.json").exists():
        return layout
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifest = client.get_manifest(repository, digest)
    kept = caches().layers
    for descriptor in blobs_of(manifest):
        check()
        path = blobs / hex_of(descriptor.digest)
        if not kept.take(name_of(descriptor.digest), path):
            client.download_blob(repository, descriptor, path, check=check)
            kept.keep(name_of(descriptor.digest), path)
    complete_layout(layout, manifest)
    return layout
