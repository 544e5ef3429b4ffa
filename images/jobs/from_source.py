"""Whether a build may build from source; what it takes is loaded only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

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
    """What builds from source for this spec, and for `build` if it is one; None where it does not ask for
    that, or it is forbidden."""
    if not spec.allow_source or not settings.SOURCE_BUILDS_ALLOWED:
        return None
    # Reading index pages takes 19 MB of modules, which a worker should not hold for builds that need none.
    from images.jobs.source_builds import SourceBuilds

    return SourceBuilds(base, spec.os_packages, work, log, check, build_of_origin=build)
