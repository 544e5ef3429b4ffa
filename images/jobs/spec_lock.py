"""Locking a spec, from source where it allows that; the code for source builds is loaded only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from images.building.locks.files import Lock
from images.building.locks.given import lock_given
from images.building.locks.indexes import refuse_forbidden
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.errors import NoWheel
from images.indexes import Indexes
from images.models import BaseImage, Build
from images.spec import ImageSpec

if TYPE_CHECKING:
    from images.jobs.source_builds import SourceBuilds


def source_builds(
    spec: ImageSpec,
    base: BaseImage,
    work: Path,
    *,
    log: Callable[[str], None],
    check: Callable[[], None],
    build: Build | None = None,
) -> SourceBuilds | None:
    """The source builds of this spec, and for `build` if it is one; None where it does not ask for
    that, or it is forbidden."""
    if not spec.allow_source or not settings.SOURCE_BUILDS_ALLOWED:
        return None
    # Reading index pages takes 19 MB of modules, which a worker should not hold for builds that need none.
    from images.jobs.source_builds import SourceBuilds

    indexes = Indexes.configured().choose(spec.indexes)
    return SourceBuilds(base, spec.os_packages, work, log, check, indexes, build_of_origin=build)


def lock_spec(
    spec: ImageSpec,
    base: BaseImage,
    *,
    log: Callable[[str], None],
    check: Callable[[], None],
    sources: SourceBuilds | None = None,
) -> Lock:
    """Resolve what `spec` asks for on `base`, by this installation's indexes. Raises as `resolve`.

    What is a complete lock already is taken as it is: its files are looked for, and nothing is resolved. With
    `sources`, what cannot be had as wheels alone is looked for once more with source distributions.
    """
    indexes = Indexes.configured().choose(spec.indexes)
    target = Target(python_version=base.python_version)
    try:
        if spec.is_locked:
            lock = lock_given(
                spec.pip_requirements,
                target,
                preinstalled=dict(base.libraries),
                log=log,
                check=check,
                indexes=indexes,
                wheels_alone=sources is None,
            )
        else:
            lock = resolve(
                spec.pip_requirements,
                target,
                preinstalled=dict(base.libraries),
                log=log,
                check=check,
                indexes=indexes,
            )
    except NoWheel as error:
        if sources is None:
            raise
        log(f"Not to be had as wheels alone: {error.message}")
        lock = sources.lock(spec.pip_requirements, complete=spec.is_locked)
    refuse_forbidden(lock)
    return lock
