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
import stat
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from uv import find_uv_bin

from images.attestations import BUILDER
from images.building import container as containers
from images.building import index_door, layers, os_packages
from images.building.cache import caches
from images.building.commands import TimedOut
from images.building.container import CommandFailed, Container, Limits
from images.building.dependencies import ASKING, dependencies_of, pins, with_dependencies
from images.building.indexes import Indexes, forbidden
from images.building.locked_files import MAX_FILE_BYTES, Lock, LockedSource, LockedWheel
from images.building.resolve import Target, compiling, preferences, resolver_error
from images.building.sandboxed_lock import lock_of_files
from images.building.wheels import fetch, index_client, kept_name
from images.errors import LockInvalid, SourceBuildFailed, SourceBuildsUnavailable
from images.models import BaseImage, Build, BuiltWheel
from images.registry import connection
from images.requirements import OSPackage, PipRequirement

# What uv and buildah say of any failure.
_NOISE = re.compile(r"hint: Build failures usually|subprocess exited with|Error: exit status")
# Where the container sees what it is given, what it may write, and uv.
GIVEN = PurePosixPath("/build/given")
OUT = PurePosixPath("/build/out")
UV = "/usr/local/bin/ri-uv"
# Whose the folder is that it may write to.
OWNER = (containers.NOBODY, containers.NOBODY)
# The beginning of what ZIP archives can tell: the same source gives the same wheel at any time.
SOURCE_DATE_EPOCH = "315532800"
# Locks of some hundred libraries have one or two megabytes.
MAX_TEXT_BYTES = 16 << 20


@dataclass
class SourceBuilds:
    """The source builds of one image build. The container is made when it is first needed."""

    base: BaseImage
    packages: Sequence[OSPackage]
    work: Path
    log: Callable[[str], None]
    check: Callable[[], None]
    indexes: Indexes = field(default_factory=Indexes.configured)
    # Whose the wheels are that it makes; alterations that are only looked at make none.
    build_of_origin: Build | None = None

    # --- resolve ---------------------------------------------------------------------------------------

    def lock(self, requirements: Sequence[PipRequirement]) -> Lock:
        """Lock requirements, source distributions included. Raises as `images.building.resolve`."""
        target = Target(self.base.python_version)
        (self.given / "requirements.in").write_text("".join(f"{r}\n" for r in requirements))
        out = self.fresh_folder()
        if self.base.libraries:
            (out / "pylock.toml").write_text(preferences(dict(self.base.libraries)))
            os.chown(out / "pylock.toml", *OWNER)
        self.log("Resolving in the base image, source distributions included")
        try:
            door = self.run(
                [*compiling(target, self.base.interpreter, GIVEN / "requirements.in",
                            OUT / "pylock.toml"), "--quiet"],
                out,
            )  # fmt: skip
        except CommandFailed as error:
            raise resolver_error("\n".join(error.said), target) from error
        made = self.work / "pylock.toml"
        take_file(out / "pylock.toml", made, MAX_TEXT_BYTES)
        # Of what lay where build code could write, only which of the index's files it names counts.
        files = door.files_named_in(made.read_text(errors="replace"))
        with index_client(self.indexes.auth, self.indexes.ca_file) as client:
            lock = lock_of_files(files, requirements, target, client, self.check)
        text = with_dependencies(lock.text, self.dependencies(target, lock.text))
        return replace(lock, text=text)

    def dependencies(self, target: Target, lock: str) -> dict[str, list[str]]:
        """Which library asked for which, out of the container's cache; empty if that does not tell."""
        out = self.fresh_folder()
        (out / "annotated.txt").write_text(pins(lock))
        os.chown(out / "annotated.txt", *OWNER)
        arguments = compiling(
            target, self.base.interpreter, GIVEN / "requirements.in", OUT / "annotated.txt", ASKING
        )
        try:
            self.run(arguments, out)
        except CommandFailed:
            return {}
        made = self.work / "annotated.txt"
        take_file(out / "annotated.txt", made, MAX_TEXT_BYTES)
        return dependencies_of(made.read_text(errors="replace"))

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
            caches().wheels.keep(kept_name(sha256), path)
            known, _ = BuiltWheel.objects.get_or_create(
                key=key,
                sha256=sha256,
                defaults={
                    "filename": path.name,
                    "size_bytes": path.stat().st_size,
                    **self.provenance(source),
                },
            )
        return LockedWheel(
            source.name,
            source.version,
            known.filename,
            "",
            known.sha256,
            known.size_bytes,
            built_of=source,
        )

    def provenance(self, source: LockedSource) -> dict[str, Any]:
        """What `BuiltWheel` tells of where a wheel came from: its source, and this build."""
        build = self.build_of_origin
        return {
            "source_filename": source.filename,
            "source_sha256": source.sha256,
            "source_url": source.url,
            "image_name": build.image.name if build else "",
            "build_number": build.number if build else None,
            "builder": f"{BUILDER}@{settings.VERSION}",
        }

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
        shutil.copyfile(file, self.given / source.filename)
        out = self.fresh_folder()
        self.log(f"Building {source.filename} in the base image")
        try:
            self.run(
                ["build", "--no-config", "--wheel", "--color", "never", "--python",
                 self.base.interpreter, "--out-dir", str(OUT), str(GIVEN / source.filename)],
                out,
            )  # fmt: skip
        except CommandFailed as error:
            raise failed(source, error.said) from error
        names = [path.name for path in out.iterdir() if path.name.endswith(".whl")]
        if len(names) != 1 or not is_of(names[0], source):
            raise failed(
                source, ["It gave something else than one wheel of its own name and version."]
            )
        wheel = self.work / names[0]
        take_file(out / names[0], wheel, MAX_FILE_BYTES)
        return wheel

    # --- the container -----------------------------------------------------------------------------------

    def run(self, arguments: Sequence[str], out: Path) -> index_door.IndexDoor:
        """Run uv in the container, with `out` to write to.

        Raises `CommandFailed`, or `PackageNotAllowed` where that is why.
        """
        door = index_door.IndexDoor(self.indexes)
        try:
            self.container.run_confined(
                [UV, *arguments],
                answering=door.answering,
                port=index_door.PORT,
                volumes={
                    self.given: f"{GIVEN}:ro",
                    out: str(OUT),
                    Path(find_uv_bin()): f"{UV}:ro",
                },
                environment={
                    **index_door.environment(self.indexes),
                    "HOME": "/tmp",  # noqa: S108 - the container's own
                    "UV_CACHE_DIR": "/tmp/cache",  # noqa: S108
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
        except CommandFailed as error:
            # What was asked for in vain is a better reason than what failed for want of it.
            for name in sorted(door.refused):
                raise forbidden(name) from error
            raise
        return door

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
    def given(self) -> Path:
        """The folder that the container reads from; nothing in it is anybody's but the worker's."""
        folder = self.work / "given"
        folder.mkdir()
        return folder

    def fresh_folder(self) -> Path:
        """A folder for one run to write to. What lies in it afterwards is not to be trusted."""
        folder = Path(tempfile.mkdtemp(prefix="out-", dir=self.work))
        os.chown(folder, *OWNER)
        return folder


def take_file(path: Path, destination: Path, limit: int) -> None:
    """Copy what a build has left, if it is a plain file of at most `limit` bytes: no link may lead the
    worker elsewhere.

    Raises `SourceBuildFailed`; then there is no file at `destination`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise SourceBuildFailed(f"The build left no readable file {path.name}.") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise SourceBuildFailed(f"What the build left as {path.name} is no file.")
    with os.fdopen(descriptor, "rb") as source:
        if status.st_size > limit:
            raise SourceBuildFailed(
                f"What the build left as {path.name} is larger than {limit:,} bytes."
            )
        try:
            with destination.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        except BaseException:
            destination.unlink(missing_ok=True)
            raise


def is_of(filename: str, source: LockedSource) -> bool:
    """Whether the name is that of a wheel of the source's own name and version, and nothing else."""
    try:
        LockedWheel(source.name, source.version, filename, "", "0" * 64, built_of=source)
    except LockInvalid:
        return False
    return True


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
