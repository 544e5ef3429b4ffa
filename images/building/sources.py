"""Libraries without a wheel: built of their source distributions, in the base image and nowhere else.

Even to tell what it depends on, a source distribution may run code of its own (PEP 517). So resolving and
building both happen in a container of the base image, as nobody, with the package indexes as the only network
(`images.building.index_door`). The wheel then is one like any other, remembered by what it was made of.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from uv import find_uv_bin

from images.building import container as containers
from images.building import index_door, layers, os_packages
from images.building.cache import caches
from images.building.commands import TimedOut
from images.building.container import CommandFailed, Container, Limits
from images.building.indexes import Indexes
from images.building.resolve import (
    Lock,
    LockedSource,
    LockedWheel,
    Target,
    compiling,
    parse_lock,
    preferences,
    resolver_error,
)
from images.building.wheels import fetch, index_client, kept_name
from images.errors import SourceBuildFailed, SourceBuildsUnavailable
from images.models import BaseImage, BuiltWheel
from images.registry import connection
from images.requirements import OSPackage, PipRequirement
from images.specs import allows_source, os_packages_of

# What uv and buildah say of any failure.
_NOISE = re.compile(r"hint: Build failures usually|subprocess exited with|Error: exit status")
# Where the container sees the build's folder, and uv.
FOLDER = "/build"
UV = "/usr/local/bin/ri-uv"
# The beginning of what ZIP archives can tell: the same source gives the same wheel at any time.
SOURCE_DATE_EPOCH = "315532800"


def source_builds(
    spec: Mapping[str, Any],
    base: BaseImage,
    work: Path,
    *,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> SourceBuilds | None:
    """What builds from source for this spec; None where it does not ask for that, or it is forbidden."""
    if not allows_source(spec) or not settings.SOURCE_BUILDS_ALLOWED:
        return None
    return SourceBuilds(base, os_packages_of(spec), work, log, check)


@dataclass
class SourceBuilds:
    """The source builds of one image build. The container is made when it is first needed."""

    base: BaseImage
    packages: Sequence[OSPackage]
    work: Path
    log: Callable[[str], None]
    check: Callable[[], None]
    indexes: Indexes = field(default_factory=Indexes.configured)

    # --- resolve ---------------------------------------------------------------------------------------

    def lock(self, requirements: Sequence[PipRequirement]) -> Lock:
        """Lock requirements, source distributions included. Raises as `images.building.resolve`."""
        target = Target(self.base.python_version)
        (self.shared / "requirements.in").write_text("".join(f"{r}\n" for r in requirements))
        output = self.shared / "pylock.toml"
        if self.base.libraries:
            output.write_text(preferences(dict(self.base.libraries)))
            os.chown(output, *self.owner)
        inside = Path(FOLDER)
        self.log("Resolving in the base image, source distributions included")
        try:
            door = self.run(
                [*compiling(target, self.base.interpreter, inside / "requirements.in",
                            inside / "pylock.toml"), "--quiet"]
            )  # fmt: skip
        except CommandFailed as error:
            raise resolver_error("\n".join(error.said), target) from error
        return parse_lock(door.real_addresses(output.read_text()), target, allow_source=True)

    # --- build -----------------------------------------------------------------------------------------

    def with_built_wheels(self, lock: Lock, *, anew: bool = False) -> Lock:
        """The lock with a wheel for each source distribution that the base does not have installed.

        `anew` builds also what is remembered. Raises `SourceBuildFailed` with the backend's last words.
        """
        in_base = dict(self.base.libraries)
        wheels = [
            self.wheel_of(source, anew=anew)
            for source in lock.sources
            if in_base.get(source.name) != source.version
        ]
        every = sorted([*lock.wheels, *wheels], key=lambda wheel: wheel.name)
        return replace(lock, wheels=tuple(every), sources=())

    def wheel_of(self, source: LockedSource, *, anew: bool) -> LockedWheel:
        key = self.key(source)
        known = BuiltWheel.objects.filter(key=key).order_by("-pk").first()
        if known is not None and not anew:
            self.log(f"{known.filename} was built of {source.filename} before")
        else:
            path = self.build(source)
            sha256 = sha256_of(path)
            caches().wheels.keep(kept_name(sha256, path.name), path)
            known, _ = BuiltWheel.objects.get_or_create(
                key=key,
                sha256=sha256,
                defaults={"filename": path.name, "size_bytes": path.stat().st_size},
            )
        return LockedWheel(
            source.name, source.version, known.filename, "", known.sha256, known.size_bytes
        )

    def key(self, source: LockedSource) -> str:
        """What decides the wheel, as one sha256 in hex."""
        return layers.key_of(
            source=source.sha256,
            base=self.base.manifest_digest,
            os_packages=sorted(map(str, self.packages)),
        )

    def build(self, source: LockedSource) -> Path:
        """Build a source distribution's wheel, checked to be its own."""
        with index_client(self.indexes.auth, self.indexes.ca_file) as client:
            file = fetch(client, source, caches().wheels, self.work / "sdists", threading.Event())
        given = self.shared / source.filename
        shutil.copyfile(file, given)
        out = self.shared / f"wheel-{source.name}"
        self.log(f"Building {source.filename} in the base image")
        try:
            self.run(
                ["build", "--no-config", "--wheel", "--color", "never", "--python",
                 self.base.interpreter, "--out-dir", f"{FOLDER}/{out.name}", f"{FOLDER}/{given.name}"]
            )  # fmt: skip
        except CommandFailed as error:
            raise failed(source, error.said) from error
        wheels = list(out.glob("*.whl"))
        if len(wheels) != 1 or wheels[0].is_symlink() or not is_of(wheels[0].name, source):
            raise failed(
                source, ["It gave something else than one wheel of its own name and version."]
            )
        return wheels[0]

    # --- the container -----------------------------------------------------------------------------------

    def run(self, arguments: Sequence[str]) -> index_door.IndexDoor:
        """Run uv in the container. Raises `CommandFailed`, or `PackageNotAllowed` where that is why."""
        try:
            return self.container.run_confined(
                [UV, *arguments],
                self.indexes,
                volumes={self.shared: FOLDER, Path(find_uv_bin()): f"{UV}:ro"},
                environment={
                    **index_door.environment(self.indexes),
                    "HOME": FOLDER,
                    "UV_CACHE_DIR": f"{FOLDER}/cache",
                    "UV_PYTHON_DOWNLOADS": "never",
                    "PYTHONHASHSEED": "0",
                    "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH,
                },
            )
        except TimedOut as error:
            raise SourceBuildFailed(
                f"Building from source took longer than {settings.SOURCE_BUILD_SECONDS} seconds.",
                hint="Choose a version that has a wheel, or ask an operator for more time.",
            ) from error

    @cached_property
    def container(self) -> Container:
        """The base image, with the OS packages of the spec, which may be compilers."""
        if refusal := containers.confinement_problem():
            raise SourceBuildsUnavailable(refusal, hint="Choose a version that has a wheel.")
        folder = self.work / "sources"
        folder.mkdir()
        limits = Limits(settings.SOURCE_BUILD_SECONDS, settings.SOURCE_BUILD_MEMORY_BYTES)
        with connection.registry_client() as client:
            layout = containers.base_layout(client, self.base, self.work / "base", self.check)
        made = Container(layout, folder, limits, self.log, self.check)
        if self.packages:
            os_packages.install_in(made, self.packages, self.base.os_family)
        return made

    @cached_property
    def shared(self) -> Path:
        """The folder that the container may write to."""
        folder = self.work / "shared"
        folder.mkdir()
        os.chown(folder, *self.owner)
        return folder

    @property
    def owner(self) -> tuple[int, int]:
        user, _, group = containers.UNPRIVILEGED.partition(":")
        return int(user), int(group)


def is_of(filename: str, source: LockedSource) -> bool:
    try:
        name, version, *_ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return canonicalize_name(name) == source.name and str(version) == source.version


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def failed(source: LockedSource, said: Sequence[str]) -> SourceBuildFailed:
    told = [line.strip() for line in said if line.strip() and not _NOISE.match(line)]
    words = " ".join(told[-4:])[-800:]
    return SourceBuildFailed(
        f"{source.name} {source.version} cannot be built from its source distribution. {words}",
        hint="If it needs a compiler or headers, name them under OS packages, such as gcc and "
        "python3-dev; the log has all that its build said.",
    )
