"""One build from claim to end; `images.jobs.image_build` does what lies between.

Outside names are stable (repository by image, tag by build number) and every step looks before it
acts, so a build that is taken over simply goes through the steps again: the lock of the first attempt
is kept, which makes the second attempt's bytes the same.
"""

from __future__ import annotations

import logging
import time

import structlog
from django.conf import settings

from images.building.cache import caches, work_folder
from images.building.containers import container
from images.errors import BuildError
from images.jobs import build_outcome, upgrades
from images.jobs.image_build import ImageBuild
from images.jobs.journal import Journal
from images.jobs.leased import Holder, carry_out
from images.models import Build
from images.models.build import BuildQuerySet
from ri_platform.errors import DomainError

logger = logging.getLogger(__name__)


def run(build_id: int) -> None:
    """Claim a build and bring it to its end; nothing happens if there is nothing to claim."""
    build = claim(build_id)
    if build is not None:
        run_claimed(build)


def startable() -> BuildQuerySet:
    """Builds that could start and that this machine can do; a worker on another machine does the rest."""
    found = Build.objects.startable()
    # A queue that asks for no sandbox does not pay for trying whether one can be had.
    if found.exclude(spec__os_packages=[]).exists() and container.problem():
        found = found.filter(spec__os_packages=[])
    if found.filter(spec__allow_source=True).exists() and container.confinement_problem():
        found = found.exclude(spec__allow_source=True)
    return found


def claim(build_id: int) -> Build | None:
    return startable().claim(build_id, settings.BUILD_LEASE_SECONDS)


def run_claimed(build: Build) -> None:
    structlog.contextvars.bind_contextvars(image=build.image.name, build=build.number)
    logger.info("Build %s of %s begins, attempt %s.", build.number, build.image, build.attempts)
    begun = time.monotonic()
    journal = Journal(build)
    ended = carry_out(
        build,
        settings.BUILD_LEASE_SECONDS,
        lambda holder: attempt(build, journal, holder),
        fail=lambda error: finish_failed(build, journal, error),
        broke=BuildError(
            "The build broke on the platform's side; its operators' log says where.",
            hint="Build it again; if it fails the same way, tell your administrator.",
        ),
    )
    if not ended:
        build_outcome.let_go(build)
        return
    logger.info("Build %s of %s %s.", build.number, build.image, build.state)
    upgrades.after_build(build, time.monotonic() - begun)


def attempt(build: Build, journal: Journal, holder: Holder) -> None:
    """Make the image and record it. Raises a `DomainError` if it cannot be made, and `LeaseLost`."""
    if build.attempts > settings.BUILD_MAX_ATTEMPTS:
        raise BuildError(
            f"The build's worker died {settings.BUILD_MAX_ATTEMPTS} times.",
            hint="Ask an operator to look at the builds worker's log, then build again.",
        )
    if build.attempts > 1:
        journal.line(f"Attempt {build.attempts}: the worker before this one died.")
    product = make(build, journal, holder)
    journal.line(f"Ready: {product.manifest_digest}")
    journal.flush()
    build_outcome.succeed(build, product)


def finish_failed(build: Build, journal: Journal, error: DomainError) -> None:
    journal.break_off()
    journal.line(f"Failed: {error}")
    journal.flush()
    build_outcome.fail(build, error)


def make(build: Build, journal: Journal, holder: Holder) -> build_outcome.Product:
    with work_folder(settings.CACHE_DIR, f"build-{build.pk}") as work:
        product = ImageBuild(build, journal, holder.check, work).product()
    for cache in caches():
        cache.trim()
    return product
