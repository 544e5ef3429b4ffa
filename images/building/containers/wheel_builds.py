"""Building a wheel of a source distribution, in a build environment that is locked beforehand.

The worker reads what a source asks to be built with (PEP 518, and PEP 517's get_requires_for_build_wheel),
locks that by the indexes, and fetches it by hash. The build then runs without any network, in an
environment of just these files. So what a wheel is made of is known before, and is its key.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from images.building.cache import caches
from images.building.containers import enter, inside
from images.building.containers.sandbox import CommandFailed, Results, Sandbox
from images.building.containers.source_failures import build_failed
from images.building.downloads import fetch, index_client
from images.building.layers import keys
from images.building.locks.files import LockedSource, LockedWheel
from images.errors import LockInvalid, SourceBuildFailed
from images.indexes import Indexes
from images.requirement_files.configured import parse_pip_requirements
from images.requirements import PipRequirement, RequirementErrors

# Counts up whenever a source gives other bytes, or was made in a sandbox that is trusted no more.
RECIPE = 2
# What else is in the keys: the layers' format of when wheels were first kept by them. A new one leaves them
# as they are.
KEY_FORMAT = 2
# A source without pyproject.toml, or without a backend in it (PEP 517, PEP 518).
LEGACY_BACKEND, LEGACY_REQUIRES = "setuptools.build_meta:__legacy__", ("setuptools>=40.8.0",)
# The beginning of what ZIP archives can tell: the same source gives the same wheel at any time.
SOURCE_DATE_EPOCH = "315532800"
MAX_PYPROJECT, MAX_ANSWER, MAX_REQUIRES = 1 << 20, 1 << 16, 100

# From what a build asks for to a wheel of each, by hash; wheels made here if need be.
Locking = Callable[[Sequence[PipRequirement]], Sequence[LockedWheel]]


@dataclass(frozen=True)
class BuildSystem:
    """pyproject.toml's `build-system` (PEP 517, PEP 518)."""

    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...] = ()

    @classmethod
    def of(cls, pyproject: str) -> BuildSystem:
        """Raises `ValueError` with what is wrong."""
        try:
            table = tomllib.loads(pyproject).get("build-system")
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"its pyproject.toml is none: {error}") from error
        if table is None:
            return cls(LEGACY_REQUIRES, LEGACY_BACKEND)
        if not isinstance(table, dict):
            raise ValueError("its build-system is no table")
        backend = table.get("build-backend", LEGACY_BACKEND)
        if not isinstance(backend, str):
            raise ValueError("its build-backend is no text")
        return cls(
            tuple(texts(table.get("requires", []))),
            backend,
            tuple(texts(table.get("backend-path", []))),
        )

    def to_json(self) -> str:
        return json.dumps({"backend": self.backend, "backend_path": self.backend_path})


def texts(value: Any) -> list[str]:
    """A list of texts, as is from a file or a hook of a stranger. Raises `ValueError`."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("what it needs to be built is no list of requirements")
    if len(value) > MAX_REQUIRES:
        raise ValueError(f"it needs more than {MAX_REQUIRES} libraries to be built")
    return value


@dataclass(frozen=True)
class PreparedSource:
    """A source whose build environment is known."""

    key: str
    asked: tuple[str, ...]
    hook_key: str
    system: BuildSystem
    environment: tuple[LockedWheel, ...]
    file: Path


@dataclass(frozen=True)
class WheelBuilds:
    """Builds wheels of sources in sandboxes of `box`, one for each question and each build.

    `of` is what decides besides: the base's digest and the OS packages. `work` is a folder of the worker's;
    `check` is asked while files are fetched, and may raise.
    """

    box: Callable[[], Sandbox]
    interpreter: str
    python_version: str
    of: dict[str, Any]
    locking: Locking
    indexes: Indexes
    work: Path
    check: Callable[[], None]
    os_family: str = ""

    def source_key(self, source: LockedSource) -> str:
        """The source and where it is built; what it is built with is not in it."""
        return keys.key_of(of_format=KEY_FORMAT, recipe=RECIPE, source=source.sha256, **self.of)

    def prepare(
        self, source: LockedSource, remembered: Callable[[str], Sequence[str] | None]
    ) -> PreparedSource:
        """Lock what the source is built with. `remembered` tells what its hook said before, by `hook_key`.

        Raises `SourceBuildFailed`.
        """
        with index_client(self.indexes) as client:
            file = fetch(client, source, caches().wheels, self.work / "sdists", self.check)
        try:
            system = self.system_of(source, file)
            environment = self.lock_requirements(system.requires)
            hook_key = self.key(source, environment)
            asked = remembered(hook_key)
            if asked is None:
                asked = self.read_hook_requirements(source, file, system, environment)
            if asked:
                environment = self.lock_requirements([*system.requires, *asked])
        except (ValueError, RequirementErrors) as error:
            raise self.failed(source, [f"It cannot be told how: {error}."]) from error
        key = self.key(source, environment)
        return PreparedSource(key, tuple(asked), hook_key, system, environment, file)

    def key(self, source: LockedSource, environment: Iterable[LockedWheel]) -> str:
        """The inputs that decide the wheel, as one sha256 in hex."""
        locked = sorted((wheel.name, wheel.version, wheel.sha256) for wheel in environment)
        return keys.key_of(
            of_format=KEY_FORMAT,
            recipe=RECIPE,
            source=source.sha256,
            build_requirements=locked,
            **self.of,
        )

    def lock_requirements(self, requires: Sequence[str]) -> tuple[LockedWheel, ...]:
        wanted = [
            requirement
            for line in requires
            for requirement in parse_pip_requirements(line, self.python_version)
        ]
        return tuple(self.locking(wanted)) if wanted else ()

    # --- in sandboxes ----------------------------------------------------------------------------------

    def system_of(self, source: LockedSource, file: Path) -> BuildSystem:
        with self.run(source, ["read"], {"source": file}) as results:
            if "pyproject.toml" not in results.names():
                return BuildSystem(LEGACY_REQUIRES, LEGACY_BACKEND)
            copy = self.fresh(source, "pyproject.toml")
            results.take("pyproject.toml", copy, MAX_PYPROJECT)
        return BuildSystem.of(copy.read_text(encoding="utf-8", errors="replace"))

    def read_hook_requirements(
        self,
        source: LockedSource,
        file: Path,
        system: BuildSystem,
        environment: Sequence[LockedWheel],
    ) -> list[str]:
        """The requirements that the backend's own hook names, run in pyproject.toml's build environment."""
        given = {"source": file, **self.files_of(environment)}
        with self.run(source, ["requires", system.to_json()], given, environment) as results:
            copy = self.fresh(source, "requires.json")
            results.take("requires.json", copy, MAX_ANSWER)
        return texts(json.loads(copy.read_bytes()))

    def build(self, source: LockedSource, prepared: PreparedSource, limit: int) -> Path:
        """The wheel, checked to be the source's own. Raises `SourceBuildFailed`."""
        given = {"source": prepared.file, **self.files_of(prepared.environment)}
        command = ["wheel", prepared.system.to_json()]
        with self.run(source, command, given, prepared.environment) as results:
            names = [name for name in results.names() if name.endswith(".whl")]
            if len(names) != 1 or not is_of(names[0], source):
                raise self.failed(
                    source, ["It gave something else than one wheel of its own name and version."]
                )
            wheel = self.fresh(source, names[0])
            results.take(names[0], wheel, limit)
        return wheel

    def run(
        self,
        source: LockedSource,
        command: Sequence[str],
        files: dict[str, Path],
        environment: Sequence[LockedWheel] = (),
    ) -> Results:
        """Run `inside.py` in a sandbox of its own, without any network."""
        given = self.fresh(source, "given")
        given.mkdir()
        for name, path in {**files, "inside.py": Path(inside.__file__)}.items():
            shutil.copyfile(path, given / name)
        lines = [f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in environment]
        (given / "requirements.txt").write_text("".join(lines), encoding="ascii")
        try:
            return self.box().run(
                [self.interpreter, "-I", f"{enter.GIVEN}/inside.py", *command],
                environment={**ENVIRONMENT, "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH},
                given=given,
                uv=Path(find_uv_bin()),
            )
        except CommandFailed as error:
            raise self.failed(source, error.said) from error
        finally:
            shutil.rmtree(given)

    def failed(self, source: LockedSource, said: Sequence[str]) -> SourceBuildFailed:
        return build_failed(f"{source.name} {source.version}", said, self.os_family)

    def files_of(self, environment: Sequence[LockedWheel]) -> dict[str, Path]:
        """The environment's wheels by their names, fetched by hash."""
        with index_client(self.indexes) as client:
            return {
                wheel.filename: fetch(
                    client, wheel, caches().wheels, self.work / "build-wheels", self.check
                )
                for wheel in environment
            }

    def fresh(self, source: LockedSource, name: str) -> Path:
        """A path in the worker's own folder that nothing is at."""
        folder = self.work / f"of-{source.sha256}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.unlink(missing_ok=True)
        return path


# What uv and Python go by in every sandbox; nothing of the worker's own is among it.
ENVIRONMENT = {
    "UV_CACHE_DIR": "/tmp/cache",  # noqa: S108 - the sandbox's own
    "UV_PYTHON_DOWNLOADS": "never",
    "PYTHONHASHSEED": "0",
}


def is_of(filename: str, source: LockedSource) -> bool:
    """Whether the name is that of a wheel of the source's own name and version, and nothing else."""
    try:
        LockedWheel(source.name, source.version, filename, "", "0" * 64, built_of=source)
    except LockInvalid:
        return False
    return True
