"""A buildah container in a build's work folder: the base image's files, and what commands make of them.

It is a chroot in namespaces of its own: no daemon, no runtime. Commands are argument lists; nothing goes by
way of a shell or a Containerfile.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from images.building import netns
from images.building.base_images import blobs_of
from images.building.cache import caches
from images.building.commands import containment, run_streaming
from images.building.pipeline import name_of
from images.models import BaseImage
from images.registry.oci import Descriptor, RegistryClient

# nobody's, in every distribution: a library's build code has no business with root.
NOBODY = 65534


@dataclass(frozen=True)
class Limits:
    """What one command may use: seconds, and bytes of address space for each process."""

    seconds: float
    memory: int


def problem() -> str:
    """Why this machine can run no container, as a sentence; empty if it can."""
    if shutil.which("buildah") is None:
        return "buildah is not installed on the builds workers."
    if os.geteuid() != 0:
        return "The builds workers do not run as root, which containers take."
    return ""


def confinement_problem() -> str:
    """Why this machine can run no container without a network, as a sentence; empty if it can."""
    if refusal := problem():
        return refusal
    probe = subprocess.run(["unshare", "--net", "--", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        return "The builds workers may not make network namespaces, which confining builds takes."
    return ""


class CommandFailed(Exception):
    """A command in the container ended badly; `said` are its lines."""

    def __init__(self, said: Sequence[str]) -> None:
        super().__init__("\n".join(said[-3:]))
        self.said = list(said)


class Container:
    """A buildah container with storage of its own in the folder `work`.

    Its methods raise `CommandFailed`, and `TimedOut` past the limit of seconds.
    """

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
        """Run a command as root with the worker's network; what it says goes to the log."""
        self._step(
            ["run", "--isolation", "chroot", "--env", "DEBIAN_FRONTEND=noninteractive", "build",
             "--", *command],
            before=self._prlimit(),
        )  # fmt: skip

    def run_confined(
        self,
        command: Sequence[str],
        *,
        answering: Callable[[socket.socket], AbstractContextManager[object]],
        port: int,
        volumes: Mapping[Path, str],
        environment: Mapping[str, str],
    ) -> None:
        """Run a command as nobody, with one port of 127.0.0.1 as its only network.

        `answering` serves there while its context lasts, on the socket that `images.building.netns` sends
        through the one it is given. `volumes` are mounted, a trailing `:ro` for reading only.
        """
        for path, inside in volumes.items():
            if inside.endswith(":ro") and path.is_dir():
                make_readable(path)
        options = [f"--env={name}={value}" for name, value in environment.items()]
        options += [f"--volume={path}:{inside}" for path, inside in volumes.items()]
        with ExitStack() as open_things:
            ours, theirs = socket.socketpair()
            open_things.enter_context(ours)
            open_things.enter_context(theirs)
            open_things.enter_context(answering(ours))
            self._step(
                ["run", "--isolation", "chroot", "--user", f"{NOBODY}:{NOBODY}", "--cap-drop", "all",
                 "--workingdir", "/", *options, "build", "--", *command],
                before=[
                    "unshare", "--net", "--",
                    # Isolated, and by its path: it needs nothing but the standard library.
                    sys.executable, "-I", netns.__file__, str(theirs.fileno()), str(port), "--",
                    *self._prlimit(),
                ],
                inherited=[theirs.fileno()],
            )  # fmt: skip

    def upper(self) -> Path:
        """The folder with what the container changed (overlayfs' upper layer)."""
        containers = json.loads(
            (self._storage / "overlay-containers/containers.json").read_text(encoding="utf-8")
        )
        return self._storage / "overlay" / str(containers[0]["layer"]) / "diff"

    def _prlimit(self) -> list[str]:
        return ["prlimit", f"--as={self._limits.memory}", "--"]

    def _step(
        self,
        arguments: Sequence[str],
        before: Sequence[str] = (),
        inherited: Sequence[int] = (),
    ) -> None:
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            self._log(line)

        status = run_streaming(
            [*containment(), *before, *self._buildah, *arguments],
            log=hear,
            check=self._check,
            timeout=self._limits.seconds,
            environment=environment(os.environ),
            folder=self._folder,
            inherited=inherited,
        )
        if status != 0:
            raise CommandFailed(said)


def make_readable(folder: Path) -> None:
    """Let nobody read what the worker gives, which by the worker's umask may be its own alone."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o755 if path.is_dir() else 0o644)


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What buildah may see of the worker's environment: neither its AWS identity nor its settings."""
    passed = ("PATH", "HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy")
    return {name: own[name] for name in passed if name in own}


def base_layout(
    client: RegistryClient, base: BaseImage, layout: Path, check: Callable[[], None]
) -> Path:
    """The base image as an OCI layout in the folder `layout`, its layers from the cache or the registry."""
    if (layout / "oci-layout").exists():
        return layout
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifest = client.get_manifest(base.repository, base.manifest_digest)
    kept = caches().layers
    for descriptor in blobs_of(manifest):
        check()
        path = blobs / descriptor.digest.partition(":")[2]
        if not kept.take(name_of(descriptor.digest), path):
            client.download_blob(base.repository, descriptor, path)
            kept.keep(name_of(descriptor.digest), path)
    (blobs / manifest.digest.partition(":")[2]).write_bytes(manifest.raw)
    entry = Descriptor(manifest.media_type, manifest.digest, len(manifest.raw)).to_json()
    index = {"schemaVersion": 2, "manifests": [entry]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return layout
