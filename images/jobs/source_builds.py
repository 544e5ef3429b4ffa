"""Libraries without a wheel: built of their source distributions, in the base image and nowhere else.

Even to tell what it depends on, a source distribution may run code of its own (PEP 517). So resolving and
each single build happen upon the base image's files in sandboxes, each of them new and gone afterwards
(`images.building.containers.sandbox`). Resolving reaches the package indexes and nothing else
(`images.building.containers.index_proxy`). A build reaches nothing
(`images.building.containers.wheel_builds`). The wheel then is one like any other, remembered by what it
was made of.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from django.conf import settings
from uv import find_uv_bin

from images.building.cache import caches
from images.building.commands import Deadline
from images.building.containers import container as containers
from images.building.containers import enter, index_proxy, inside, os_packages
from images.building.containers.container import Container
from images.building.containers.sandbox import (
    Budget,
    CommandFailed,
    Results,
    Sandbox,
)
from images.building.containers.source_failures import (
    failed_while_resolving,
    translate_sandbox_errors,
)
from images.building.containers.wheel_builds import ENVIRONMENT, PreparedSource, WheelBuilds
from images.building.downloads import index_client, kept_name
from images.building.locks.annotations import ANNOTATED, annotate_lock, dependencies_of, pins
from images.building.locks.files import MAX_FILE_BYTES, Lock, LockedSource, LockedWheel
from images.building.locks.hashes import keep_given_hashes
from images.building.locks.indexes import forbidden_library_error, refuse_forbidden
from images.building.locks.pylock import parse_lock
from images.building.locks.resolve import DEFAULT_TIMEOUT, resolve
from images.building.locks.sandboxed import lock_of_files
from images.building.locks.target import Target
from images.building.locks.uv import (
    compile_arguments,
    preferences,
    requirements_text,
    resolver_error,
)
from images.errors import NoWheel, SourceBuildFailed, SourceBuildsUnavailable
from images.indexes import Indexes
from images.jobs import built_wheels
from images.jobs.base_files import hold_files
from images.models import BaseImage, Build, BuiltWheel
from images.requirements import OSPackage, PipRequirement

GIVEN, OUT = PurePosixPath(enter.GIVEN), PurePosixPath(enter.OUT)
INSIDE = str(GIVEN / "inside.py")
# Locks of some hundred libraries have one or two megabytes.
MAX_TEXT_BYTES = 16 << 20
# What a build needs may have no wheel either, and what that needs; some begin with themselves.
MAX_DEPTH = 4


@dataclass
class SourceBuilds:
    """The source builds of one image build. What they run upon is unpacked when it is first needed."""

    base: BaseImage
    packages: Sequence[OSPackage]
    work: Path
    # What keeps the base image's files there until the build has ended.
    held: ExitStack
    log: Callable[[str], None]
    check: Callable[[], None]
    indexes: Indexes = field(default_factory=Indexes.from_settings)
    # Whose the wheels are that it makes; alterations that are only looked at make none.
    build_of_origin: Build | None = None
    # How many builds this one is for the sake of, and whose files it runs upon then.
    depth: int = 0
    files: Callable[[], Sandbox] | None = None

    # --- resolve ---------------------------------------------------------------------------------------

    @translate_sandbox_errors()
    def lock(
        self,
        requirements: Sequence[PipRequirement],
        *,
        complete: bool = False,
        prereleases: bool = False,
    ) -> Lock:
        """Lock requirements, source distributions included. Raises as `images.building.locks.resolve`."""
        target = Target(self.base.python_version, self.base.platform)
        placed = [self.indexes.place(item) for item in requirements]
        asked_of = {item.normalized_name: item.index for item in placed if item.index}
        given = {"requirements.in": requirements_text(placed)}
        if self.base.libraries and not self.depth and not complete:
            given["pylock.toml"] = preferences(dict(self.base.libraries))
        self.log("Resolving in the base image, source distributions included")
        door = index_proxy.IndexDoor(self.indexes, asked_of)
        command = compile_arguments(
            target,
            self.base.interpreter,
            GIVEN / "requirements.in",
            OUT / "pylock.toml",
            complete=complete,
            prereleases=prereleases,
        )
        try:
            made = self.compile([*command, "--quiet"], given, door, "pylock.toml")
        except CommandFailed as error:
            failed = failed_while_resolving(error.said, self.os_family)
            raise failed or resolver_error("\n".join(error.said), target) from error
        # Of what was written where build code runs, only which of the index's files it names counts.
        files = door.files_named_in(made)
        with index_client(self.indexes) as client:
            lock = lock_of_files(files, requirements, target, client, self.check)
        text = keep_given_hashes(lock.text, requirements)
        dependencies = self.dependencies(
            target, text, given["requirements.in"], asked_of, prereleases=prereleases
        )
        origins = {file.name: door.index_of(file.name) for file in files}
        yanked = {file.name: file.yanked for file in files if file.yanked is not None}
        annotated = annotate_lock(text, dependencies, origins, yanked)
        return parse_lock(annotated, target, allow_source=True)

    def dependencies(
        self,
        target: Target,
        lock: str,
        requirements: str,
        asked_of: Mapping[str, str],
        *,
        prereleases: bool,
    ) -> dict[str, list[str]]:
        """The dependencies between the libraries of a lock; empty if uv does not give them.

        Asked in a new sandbox, so uv reads what the libraries depend on once more.
        """
        given = {"requirements.in": requirements, "annotated.txt": pins(lock)}
        command = compile_arguments(
            target,
            self.base.interpreter,
            GIVEN / "requirements.in",
            OUT / "annotated.txt",
            ANNOTATED,
            prereleases=prereleases,
        )
        door = index_proxy.IndexDoor(self.indexes, asked_of)
        try:
            made = self.compile(command, given, door, "annotated.txt")
        except (CommandFailed, SourceBuildFailed):
            return {}
        return dependencies_of(made)

    def compile(
        self,
        arguments: Sequence[str],
        given: dict[str, str],
        door: index_proxy.IndexDoor,
        answer: str,
    ) -> str:
        """Run uv with these arguments and files, with the indexes as its network; the file that it wrote.

        Raises `CommandFailed`, or `PackageNotAllowed` where that is why.
        """
        folder = Path(tempfile.mkdtemp(prefix="given-", dir=self.work))
        for name, text in given.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "inside.py").write_bytes(Path(inside.__file__).read_bytes())
        try:
            with self.run(
                [self.base.interpreter, "-I", INSIDE, "compile", *arguments], folder, door
            ) as results:
                copy = folder / "answer"
                results.take(answer, copy, MAX_TEXT_BYTES)
                return copy.read_text(encoding="utf-8", errors="replace")
        except CommandFailed as error:
            # What was asked for in vain is a better reason than what failed for want of it.
            for name in sorted(door.refused):
                raise forbidden_library_error(name) from error
            raise
        finally:
            door.close()

    def run(self, command: Sequence[str], given: Path, door: index_proxy.IndexDoor) -> Results:
        return self.box().run(
            command,
            given=given,
            uv=Path(find_uv_bin()),
            environment={**ENVIRONMENT, **index_proxy.environment(self.indexes)},
            serving=door.serve_requests,
            port=index_proxy.PORT,
        )

    # --- build -----------------------------------------------------------------------------------------

    @translate_sandbox_errors()
    def with_built_wheels(
        self, lock: Lock, *, anew: bool = False, prefer: Collection[str] = ()
    ) -> Lock:
        """The lock with a wheel for each source distribution that the base does not have installed.

        `anew` builds also what is remembered. A wheel whose sha256 is among `prefer` is taken again if it was
        made of the same source in the same place, whatever its build needs are locked to by now.
        Raises `SourceBuildFailed` with the backend's last words.
        """
        in_base = {} if self.depth else dict(self.base.libraries)
        wheels = [
            self.wheel_of(source, anew=anew, prefer=prefer)
            for source in lock.sources
            if in_base.get(source.name) != source.version
        ]
        every = sorted([*lock.wheels, *wheels], key=lambda wheel: wheel.name)
        return replace(lock, wheels=tuple(every), sources=())

    def wheel_of(
        self, source: LockedSource, *, anew: bool, prefer: Collection[str] = ()
    ) -> LockedWheel:
        builds = self.wheel_builds
        source_key = builds.source_key(source)
        known = None if anew else built_wheels.find_by_source(source_key, prefer)
        if known is None:
            prepared = builds.prepare(source, built_wheels.asked_before)
            known = None if anew else built_wheels.find_by_inputs(prepared.key)
            if known is None:
                return locked_wheel(source, self.build(source, prepared, source_key))
        self.log(f"{known.filename} was built of {source.filename} before")
        return locked_wheel(source, known)

    def build(self, source: LockedSource, prepared: PreparedSource, source_key: str) -> BuiltWheel:
        needs = [f"{wheel.name} {wheel.version}" for wheel in prepared.environment]
        self.log(
            f"Building {source.filename} in the base image, with {', '.join(needs) or 'nothing'}"
        )
        path = self.wheel_builds.build(source, prepared, MAX_FILE_BYTES)
        sha256 = sha256_of(path)
        caches().wheels.keep(kept_name(sha256), path)
        return built_wheels.record(path, sha256, source, prepared, source_key, self.build_of_origin)

    @cached_property
    def wheel_builds(self) -> WheelBuilds:
        return WheelBuilds(
            box=self.box,
            interpreter=self.base.interpreter,
            python_version=self.base.python_version,
            of={
                "base": self.base.manifest_digest,
                "os_packages": sorted(map(str, self.packages)),
            },
            locking=self.build_wheels,
            indexes=self.indexes,
            work=self.work / "sources",
            check=self.check,
            os_family=self.os_family,
        )

    @property
    def os_family(self) -> str:
        """The name of the family of the base's operating system, empty if it has none of them."""
        return family.name if (family := self.base.packages_by) else ""

    def build_wheels(self, wanted: Sequence[PipRequirement]) -> Sequence[LockedWheel]:
        """The wheels that a build needs, locked without running their code, unless one must be built."""
        try:
            lock = resolve(
                wanted,
                Target(self.base.python_version, self.base.platform),
                preinstalled={},
                log=lambda line: None,
                check=self.check,
                indexes=self.indexes,
                # Whatever a source asks for, and that in turn: it is within the time that all have.
                timeout=min(DEFAULT_TIMEOUT, self.box().deadline.seconds_left()),
            )
        except NoWheel as error:
            if self.depth == MAX_DEPTH:
                raise
            self.log(f"A build needs what is not to be had as wheels alone: {error.message}")
            lock = self.deeper.lock(wanted)
        refuse_forbidden(lock)
        return self.deeper.with_built_wheels(lock).wheels if lock.sources else lock.wheels

    @cached_property
    def deeper(self) -> SourceBuilds:
        """For what a build needs to be built itself: upon the same files, within the same time."""
        folder = self.work / "deeper"
        folder.mkdir()
        return replace(self, work=folder, depth=self.depth + 1, files=self.box)

    # --- sandboxes ---------------------------------------------------------------------------------------

    def box(self) -> Sandbox:
        """The runner of commands, each in a sandbox of its own, all of them within one deadline."""
        return self.files() if self.files else self.unpacked

    @cached_property
    def unpacked(self) -> Sandbox:
        """The base image's files, with the OS packages of the spec, which may be compilers."""
        if refusal := containers.confinement_problem():
            raise SourceBuildsUnavailable(refusal, hint="Choose a version that has a wheel.")
        folder, budget = self.work / "unpacked", os_packages.budget()
        folder.mkdir()
        with os_packages.time_limit() as deadline:
            lowers = self.held.enter_context(hold_files(self.base, budget, deadline, self.check))
            made = Container(lowers, folder, budget, deadline, self.log, self.check)
            if self.packages:
                os_packages.install_in(
                    made, self.packages, os_packages.require_family(self.base.packages_by)
                )
        return made.make_sandbox(
            deadline=Deadline(settings.SOURCE_BUILD_SECONDS), budget=Budget.from_settings()
        )


def locked_wheel(source: LockedSource, built: BuiltWheel) -> LockedWheel:
    return LockedWheel(
        source.name,
        source.version,
        built.filename,
        "",
        built.sha256,
        built.size_bytes,
        built_of=source,
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
