"""OS packages: installed by the base's own package system in a buildah container, kept as one layer.

The container is a chroot in namespaces of its own: no daemon, no runtime. Names and versions reach
apt or dnf as arguments of a process, never by way of a shell or a Containerfile. What the package
system changed is the overlay's upper folder, and becomes the layer; caches and logs are removed first.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.building.commands import TimedOut, containment, run_streaming
from images.building.inspection import DPKG_STATUS, dpkg_packages
from images.building.tar_layer import Layer
from images.building.tree_layer import write_tree_layer
from images.errors import BuildError, OSPackagesUnavailable
from images.requirements import OSPackage

# Package lists, downloaded packages, what apt derives from the lists, and logs: 30 MB that no image needs.
LEFTOVERS = (
    "var/lib/apt/lists/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/debconf/*-old",
    "var/lib/dpkg/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/cache/dnf/*",
    "var/lib/dnf/history*",
    "var/log/*.log",
    "var/log/apt/*",
    "var/log/dnf*",
    "run/*",
    "tmp/*",
    "var/tmp/*",
)
# Whether a name is a package's, the package system decides; it must not guess patterns.
APT = (
    "apt-get", "-o", "APT::Cmd::Pattern-Only=true", "-o", "Dpkg::Use-Pty=0",
    "-o", "Acquire::Retries=3", "-y", "-q",
)  # fmt: skip


def problem() -> str:
    """Why this machine cannot install OS packages, as a sentence; empty if it can."""
    if shutil.which("buildah") is None:
        return "buildah is not installed on the builds workers."
    if os.geteuid() != 0:
        return "The builds workers do not run as root, which installing OS packages takes."
    return ""


@dataclass(frozen=True)
class Limits:
    """What one installation may use: seconds, and bytes of address space for each process."""

    seconds: float
    memory: int


def install(
    packages: Sequence[OSPackage],
    *,
    layout: Path,
    os_family: str,
    work: Path,
    destination: Path,
    limits: Limits,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> tuple[Layer, tuple[tuple[str, str], ...]]:
    """Install `packages` onto the image in the OCI layout: the layer, and all packages there are then.

    Raises `OSPackagesUnavailable` where it cannot be done at all, `BuildError` with the package
    system's last words if it refuses.
    """
    if refusal := problem():
        raise OSPackagesUnavailable(
            refusal, hint="Leave the OS packages empty to build this image."
        )
    container = Container(layout, work, limits, log, check)
    if os_family == "debian":
        container.run([*APT, "update"])
        wanted = [str(package) for package in packages]
        container.run([*APT, "install", "--no-install-recommends", "--", *wanted])
    elif os_family == "rhel":
        wanted = [f"{p.name}-{p.version}" if p.version else p.name for p in packages]
        container.run(
            ["dnf", "-y", "install", "--setopt=install_weak_deps=False", "--nodocs", *wanted]
        )
    else:
        raise BuildError(
            "The base image's operating system has neither apt nor dnf.",
            hint="Choose another base image, or leave the OS packages empty.",
        )
    upper = container.upper()
    for pattern in LEFTOVERS:
        for path in upper.glob(pattern):
            remove(path)
    status = upper / DPKG_STATUS.lstrip("/")
    listed = status.read_text(encoding="utf-8", errors="replace") if status.exists() else ""
    return write_tree_layer(upper, destination), dpkg_packages(listed)


class Container:
    """A buildah container with storage of its own in the build's work folder."""

    def __init__(
        self,
        layout: Path,
        work: Path,
        limits: Limits,
        log: Callable[[str], None],
        check: Callable[[], None],
    ) -> None:
        self._log, self._check, self._limits = log, check, limits
        self._storage = work / "storage"
        self._buildah = [
            "buildah", "--root", str(self._storage), "--runroot", str(work / "run"),
            "--storage-driver", "overlay",
        ]  # fmt: skip
        # buildah makes the image's name of this path, and a name takes fewer characters than a path:
        # so it is told the last part alone, from the folder above.
        self._folder = layout.parent
        self._step(["from", "--quiet", "--name", "build", f"oci:{layout.name}"])

    def run(self, command: Sequence[str]) -> None:
        """Run a command in the container; what it says goes to the log."""
        self._step(
            ["run", "--isolation", "chroot", "--env", "DEBIAN_FRONTEND=noninteractive", "build",
             "--", *command],
            before=["prlimit", f"--as={self._limits.memory}", "--"],
        )  # fmt: skip

    def upper(self) -> Path:
        """The folder with what the container changed (overlayfs' upper layer)."""
        containers = json.loads(
            (self._storage / "overlay-containers/containers.json").read_text(encoding="utf-8")
        )
        return self._storage / "overlay" / str(containers[0]["layer"]) / "diff"

    def _step(self, arguments: Sequence[str], before: Sequence[str] = ()) -> None:
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            self._log(line)

        try:
            status = run_streaming(
                [*containment(), *before, *self._buildah, *arguments],
                log=hear,
                check=self._check,
                timeout=self._limits.seconds,
                environment=environment(os.environ),
                folder=self._folder,
            )
        except TimedOut as error:
            raise BuildError(
                f"Installing the OS packages took longer than {self._limits.seconds:.0f} seconds.",
                hint="The package mirror may be slow; build again in a while.",
            ) from error
        if status != 0:
            raise refused(said)


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What buildah may see of the worker's environment: neither its AWS identity nor its settings."""
    passed = ("PATH", "HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy")
    return {name: own[name] for name in passed if name in own}


def refused(said: Sequence[str]) -> BuildError:
    """The package system's own complaint as an error: apt marks it with `E:`, dnf with `Error:`."""
    complaints = [line for line in said if line.startswith(("E: ", "Error: ", "No match for"))]
    text = (
        " ".join(complaints[:3] or said[-3:])[:1000] or "The package system failed without a word."
    )
    return BuildError(
        f"The OS packages cannot be installed. {text}",
        hint="Check the package's name and version against the base image's operating system.",
    )


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
