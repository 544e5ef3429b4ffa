"""From a spec to its lock, for builds and for alterations that are only being looked at."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from django.conf import settings

from images.building.cache import work_folder
from images.building.containers import container
from images.building.locks.files import Lock
from images.building.locks.indexes import Indexes, refuse_forbidden
from images.building.locks.resolve import Target, resolve
from images.errors import BuildError, NoWheel
from images.jobs.from_source import source_builds
from images.jobs.leased import carry_out
from images.models import Alteration, BaseImage
from images.models.alteration import AlterationQuerySet
from images.spec import ImageSpec

if TYPE_CHECKING:
    from images.jobs.source_builds import SourceBuilds

logger = logging.getLogger(__name__)


def lock_spec(
    spec: ImageSpec,
    base: BaseImage,
    *,
    log: Callable[[str], None],
    check: Callable[[], None],
    sources: SourceBuilds | None = None,
) -> Lock:
    """Resolve what `spec` asks for on `base`, by this installation's indexes. Raises as `resolve`.

    With `sources`, what cannot be had as wheels alone is resolved once more with source distributions.
    """
    try:
        lock = resolve(
            spec.pip_requirements,
            Target(python_version=base.python_version),
            preinstalled=dict(base.libraries),
            log=log,
            check=check,
            environment=Indexes.configured().environment,
        )
    except NoWheel as error:
        if sources is None:
            raise
        log(f"Not to be had as wheels alone: {error.message}")
        lock = sources.lock(spec.pip_requirements)
    refuse_forbidden(lock)
    return lock


def run_alteration(alteration_id: int) -> None:
    """Claim an alteration and resolve it; nothing happens if there is nothing to claim."""
    alteration = claim(alteration_id)
    if alteration is not None:
        run_claimed(alteration)


def startable() -> AlterationQuerySet:
    """Alterations that could be resolved on this machine; a worker on another machine does the rest."""
    found = Alteration.objects.startable()
    # A queue that asks for no sandbox does not pay for trying whether one can be had.
    if found.filter(spec__allow_source=True).exists() and container.confinement_problem():
        found = found.exclude(spec__allow_source=True)
    return found


def claim(alteration_id: int) -> Alteration | None:
    return startable().claim(alteration_id, settings.BUILD_LEASE_SECONDS)


def run_claimed(alteration: Alteration) -> None:
    carry_out(
        alteration,
        settings.BUILD_LEASE_SECONDS,
        lambda holder: resolve_alteration(alteration, holder.check),
        fail=alteration.fail,
        broke=BuildError(
            "Resolving broke on the platform's side; its operators' log says where.",
            hint="Try again; if it fails the same way, tell your administrator.",
        ),
    )


def resolve_alteration(alteration: Alteration, check: Callable[[], None]) -> None:
    with work_folder(settings.CACHE_DIR, f"alteration-{alteration.pk}") as work:
        sources = source_builds(
            alteration.spec, alteration.base_image, work, log=logger.debug, check=check
        )
        lock = lock_spec(
            alteration.spec,
            alteration.base_image,
            log=logger.debug,
            check=check,
            sources=sources,
        )
    alteration.succeed(lock=lock.text)
