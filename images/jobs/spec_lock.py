"""Locking a spec, from source where it allows that; the code for source builds is loaded only then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from images.build_keys import question_key, resolution_key
from images.building.locks.files import Lock
from images.building.locks.given import lock_given
from images.building.locks.indexes import refuse_forbidden
from images.building.locks.pylock import parse_lock
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.errors import NoWheel
from images.indexes import Indexes
from images.models import BaseImage, Build, KeptResolution
from images.models.base_image import MUSL
from images.queries.capabilities import source_builds_refusal
from images.spec import ImageSpec

if TYPE_CHECKING:
    from images.jobs.source_builds import SourceBuilds


# The line of a log for a lock that is the answer to an earlier build's question.
TAKEN = "The same was resolved a moment ago: its lock is taken."


def source_builds(
    spec: ImageSpec,
    base: BaseImage,
    work: Path,
    held: ExitStack,
    *,
    log: Callable[[str], None],
    check: Callable[[], None],
    build: Build | None = None,
) -> SourceBuilds | None:
    """The source builds of this spec, and for `build` if it is one; None where it does not ask for
    that, it is forbidden, or the base cannot run the resolver. `held` is closed when they have ended."""
    if not spec.allow_source or not settings.SOURCE_BUILDS_ALLOWED:
        return None
    if base.libc == MUSL:
        # The worker's uv, which would run in the base's files, is built for glibc.
        log(
            "Nothing is built from source: that takes a base image with glibc, and this one has musl."
        )
        return None
    # Reading index pages takes 19 MB of modules, which a worker should not hold for builds that need none.
    from images.jobs.source_builds import SourceBuilds

    indexes = Indexes.from_settings().choose(spec.indexes)
    return SourceBuilds(
        base, spec.os_packages, work, held, log, check, indexes, build_of_origin=build
    )


def source_hint(spec: ImageSpec) -> str:
    """The other way out where something has no wheel, in the words of each entrance; empty if none."""
    if spec.allow_source or source_builds_refusal():
        return ""
    return (
        " Or have it built from source: Build from source in the console, allowSource in REST, "
        "--allow-source with ri-images."
    )


def lock_spec(
    spec: ImageSpec,
    base: BaseImage,
    *,
    log: Callable[[str], None],
    check: Callable[[], None],
    sources: SourceBuilds | None = None,
    anew: bool = True,
) -> Lock:
    """Resolve what `spec` asks for on `base`, by this installation's indexes. Raises as `resolve`.

    What is a complete lock already is taken as it is: its files are looked for, and nothing is resolved. With
    `sources`, what cannot be had as wheels alone is looked for once more with source distributions. Unless it
    is to be `anew`, what was resolved or read of the indexes within `RI_INDEX_PAGES_SECONDS` is taken for
    what they say now.
    """
    indexes = Indexes.from_settings().choose(spec.indexes)
    target = Target(base.python_version, base.platform)
    # What builds of sources see of an index is theirs alone.
    key = "" if sources else resolution_key(spec, base, indexes)
    if key and not anew and (kept := KeptResolution.objects.find(key)):
        log(TAKEN)
        lock = parse_lock(kept, target)
        refuse_forbidden(lock)
        return lock
    preinstalled = dict(base.libraries)
    try:
        if spec.is_locked:
            lock = lock_given(
                spec.pip_requirements, target, preinstalled=preinstalled, log=log, check=check,
                indexes=indexes, wheels_alone=sources is None,
            )  # fmt: skip
        else:
            lock = resolve(
                spec.pip_requirements, target, preinstalled=preinstalled, log=log, check=check,
                indexes=indexes, prereleases=spec.allow_prereleases,
                pages_seconds=0 if anew else settings.INDEX_PAGES_SECONDS,
            )  # fmt: skip
    except NoWheel as error:
        if sources is None:
            raise NoWheel(error.message, hint=error.hint + source_hint(spec)) from error
        log(f"Not to be had as wheels alone: {error.message}")
        lock = sources.lock(
            spec.pip_requirements, complete=spec.is_locked, prereleases=spec.allow_prereleases
        )
    refuse_forbidden(lock)
    if key:
        KeptResolution.objects.keep(key, lock.text, question_key(spec, base, indexes))
    return lock
