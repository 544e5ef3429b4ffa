"""Locking an alteration, so that people see its effect before anything is built."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack

from django.conf import settings

from images.building.cache import work_folder
from images.building.containers import container
from images.errors import BuildError
from images.jobs.leased import carry_out
from images.jobs.spec_lock import lock_spec, source_builds
from images.models import Alteration
from images.models.alteration import AlterationQuerySet

logger = logging.getLogger(__name__)


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
    with (
        work_folder(settings.CACHE_DIR, f"alteration-{alteration.pk}") as work,
        ExitStack() as held,
    ):
        sources = source_builds(
            alteration.spec, alteration.base_image, work, held, log=logger.debug, check=check
        )
        lock = lock_spec(
            alteration.spec,
            alteration.base_image,
            log=logger.debug,
            check=check,
            sources=sources,
        )
    alteration.succeed(lock=lock.text)
