"""Resolving requirements to a lock: uv resolves for the base image's Python and platform, wheels only.

The lock is a `pylock.toml` (PEP 751) and is kept: building it again gives the same bytes. Requirement
text reaches uv through a file, one validated line each, and never a shell.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from django.conf import settings
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from images.building.cache import work_folder
from images.building.commands import OutputExcerpt, TimedOut, run_streaming
from images.building.locks.annotations import (
    ANNOTATED,
    annotate_lock,
    dependencies_of,
    origins_of,
    pins,
    yanked_by,
)
from images.building.locks.files import Lock
from images.building.locks.hashes import keep_given_hashes
from images.building.locks.interpreter import python_for
from images.building.locks.pylock import parse_lock
from images.building.locks.target import Target
from images.building.locks.unhashed import with_hashes
from images.building.locks.uv import (
    compile_arguments,
    environment_of_uv,
    preferences,
    resolver_error,
    strip_credentials,
    write_wanted,
)
from images.errors import FetchFailed, ResolutionFailed
from images.indexes import DEFAULT_INDEX, Indexes
from images.requirements import PipRequirement

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 180.0
# How often what was resolved may show that a library has to come from another index.
MAX_PASSES = 5
_NOT_FOUND = re.compile(r"\b([A-Za-z0-9._-]+) was not found in the package registry")


@dataclass(frozen=True)
class Resolution:
    """A resolution: uv's lock, the dependencies between its libraries, and the index of each by name.

    `yanked` are the reasons of yanked releases, by library.
    """

    text: str
    dependencies: Mapping[str, Sequence[str]]
    origins: Mapping[str, str]
    yanked: Mapping[str, str] = field(default_factory=dict)


def resolve(
    requirements: Sequence[PipRequirement],
    target: Target,
    *,
    preinstalled: Mapping[str, str],
    log: Callable[[str], None],
    check: Callable[[], None],
    indexes: Indexes | None = None,
    environment: Mapping[str, str] | None = None,
    complete: bool = False,
    prereleases: bool = False,
    pages_seconds: int = 0,
    timeout: float = DEFAULT_TIMEOUT,
) -> Lock:
    """Lock `requirements` for `target`.

    `preinstalled` (name → version in the base image) are the resolver's preferences: a version that
    is there already is taken unless a requirement forbids it. A complete set of requirements gets nothing
    that it does not name. With `prereleases` they count as releases. An index page that was read up to
    `pages_seconds` ago is not asked for again. `check` is asked twice a second and may
    raise. Raises `ResolutionFailed`, `NoWheel` or `FetchFailed` with the resolver's own sentence,
    `HashesDiffer` for what has none of the hashes that its requirement names, and `IndexUnknown`.
    """
    indexes = indexes or Indexes()
    wanted = [indexes.place(item) for item in requirements]
    resolver = Resolver(
        target, indexes, check, environment or {}, complete, prereleases, pages_seconds, timeout
    )
    log(f"Resolving {len(wanted)} requirements for {target}")
    resolved = resolver.resolve(wanted, preinstalled)
    text = with_hashes(strip_credentials(resolved.text), target, indexes, log, check)
    text = keep_given_hashes(text, requirements)
    text = annotate_lock(text, resolved.dependencies, resolved.origins, resolved.yanked)
    lock = parse_lock(text, target)
    log(f"Resolution to {len(lock.wheels)} libraries")
    return lock


@dataclass(frozen=True)
class Resolver:
    """uv, for one target and these indexes. `environment` is given to it besides."""

    target: Target
    indexes: Indexes
    check: Callable[[], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False
    prereleases: bool = False
    pages_seconds: int = 0
    timeout: float = DEFAULT_TIMEOUT

    def resolve(
        self, requirements: Sequence[PipRequirement], preinstalled: Mapping[str, str]
    ) -> Resolution:
        """uv takes an index by name for what is asked for alone. So what the operator's rules place, and
        something else brought along from elsewhere, is asked for in a further pass."""
        wanted = list(requirements)
        for _ in range(MAX_PASSES):
            failure: ResolutionFailed | None = None
            try:
                resolved = self.resolve_once(wanted, preinstalled)
                astray = [
                    name
                    for name, index in resolved.origins.items()
                    if self.indexes.home_of(name) not in ("", index)
                ]
            except ResolutionFailed as error:
                failure, astray = error, self.find_unplaced(error, wanted)
            if not astray:
                if failure is not None:
                    raise failure
                return resolved
            wanted += [PipRequirement(name, index=self.indexes.home_of(name)) for name in astray]
        raise ResolutionFailed(
            f"{', '.join(astray)} cannot be had from the index that the operator's rules name for it.",
            hint="An operator should look at RI_PACKAGE_INDEX_PACKAGES.",
        )

    def find_unplaced(self, error: ResolutionFailed, wanted: Sequence[PipRequirement]) -> list[str]:
        """What was not found, has an index by the operator's rules, and was not asked of that yet."""
        asked = {item.normalized_name for item in wanted if item.index}
        missing = {canonicalize_name(name) for name in _NOT_FOUND.findall(error.message)}
        return sorted(name for name in missing - asked if self.indexes.home_of(name))

    def resolve_once(
        self, requirements: Sequence[PipRequirement], preinstalled: Mapping[str, str]
    ) -> Resolution:
        # The indexes' credentials are in it.
        with work_folder(settings.CACHE_DIR, "resolve") as folder:
            wanted = write_wanted(folder, requirements, self.indexes)
            configuration = self.indexes.configuration(self.pages_seconds)
            (folder / "uv.toml").write_text(configuration, encoding="utf-8")
            output = folder / "pylock.toml"
            if preinstalled and not self.complete:
                output.write_text(preferences(preinstalled), encoding="utf-8")
            said = OutputExcerpt()
            try:
                status = self.run(wanted, output, log=said.append)
            except TimedOut as error:
                raise FetchFailed(
                    f"The resolver found no answer within {self.timeout:.0f} seconds.",
                    hint="The package index may be slow; build again in a while.",
                ) from error
            if status != 0:
                raise resolver_error(said.text(), self.target)
            text = output.read_text(encoding="utf-8")
            return replace(self.annotate(wanted, text), yanked=yanked_by(said.lines()))

    def annotate(self, wanted: Path, text: str) -> Resolution:
        """The lock with the dependencies and the index of each library, which uv tells in another format.

        With one index uv's cache is enough, and where that does not tell, nothing depends on it. With several
        uv is asked in earnest, as their rules are held against the answer.
        """
        only = not self.indexes.extra
        output = wanted.with_name("annotated.txt")
        output.write_text(pins(text), encoding="utf-8")
        said = OutputExcerpt()
        style = (*ANNOTATED, "--offline") if only else ANNOTATED
        try:
            status = self.run(wanted, output, style, log=said.append, complete=not only)
        except TimedOut:
            status = 1
        if status != 0 and not only:
            raise resolver_error(said.text(), self.target)
        told = output.read_text(encoding="utf-8") if status == 0 else ""
        names = [pin.partition("==")[0] for pin in pins(text).splitlines()]
        if only:
            return Resolution(text, dependencies_of(told), dict.fromkeys(names, DEFAULT_INDEX))
        addresses = origins_of(strip_credentials(told))
        origins = {name: self.indexes.name_at(addresses.get(name, "")) for name in names}
        return Resolution(text, dependencies_of(told), origins)

    def run(
        self,
        wanted: Path,
        output: Path,
        style: Sequence[str] = ("--format", "pylock.toml"),
        *,
        log: Callable[[str], None],
        complete: bool = True,
    ) -> int:
        """Nothing is built, so any Python of the target's platform will do; without one named, uv looks for
        the target's own.

        Who we are to the indexes goes by the environment, as `ps` must not show it.
        """
        command = [
            find_uv_bin(),
            *compile_arguments(
                self.target, python_for(self.target), wanted, output, style,
                configuration=wanted.with_name("uv.toml"),
                complete=self.complete and complete,
                prereleases=self.prereleases,
            ),
            "--only-binary", ":all:",
        ]  # fmt: skip
        return run_streaming(
            command,
            log=log,
            check=self.check,
            timeout=self.timeout,
            environment=environment_of_uv({**self.indexes.environment, **self.environment}),
            errors_only=True,
        )
