"""One build from claim to end; `images.jobs.image_build` does what lies between.

Outside names are stable (repository by image, tag by build number) and every step looks before it
acts, so a build that is taken over simply goes through the steps again: the lock of the first attempt
is kept, which makes the second attempt's bytes the same.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import timedelta

import structlog
from django.conf import settings

from images import wake
from images.building.cache import caches, work_folder
from images.building.containers import container
from images.errors import BuildError
from images.jobs import build_outcome, name_entry, upgrades
from images.jobs.image_build import ImageBuild
from images.jobs.journal import Journal
from images.jobs.leased import Holder, carry_out
from images.jobs.repositories import RepositoryNotThere
from images.models import Build, ManagedImage
from images.models.build import BuildQuerySet
from images.models.lane import Lane
from images.models.lease import HandOver, WorkState, next_wake
from ri_platform.errors import DomainError

logger = logging.getLogger(__name__)

# Before the first repetition; the next is three times as long.
FIRST_PAUSE = timedelta(seconds=10)


def run(build_id: int) -> None:
    """Claim a build and bring it to its end; nothing happens if there is nothing to claim."""
    build = claim(build_id)
    if build is not None:
        run_claimed(build)


def startable(lane: Lane | None = None) -> BuildQuerySet:
    """Builds that could start and that this machine can do; a worker on another machine does the rest.

    For `Lane.BUILDS` it is not asked what only builds of the other lane need.
    """
    found = Build.objects.startable()
    # A queue that asks for no sandbox does not pay for trying whether one can be had, and a machine that
    # has tried it does not pay for looking through the queue.
    some = found.exclude(spec__os_packages=[])
    if (container.is_tried() or some.exists()) and container.problem():
        found = found.filter(spec__os_packages=[])
    if lane is Lane.BUILDS:
        return found
    some = found.filter(spec__allow_source=True)
    if some.exists() and container.confinement_problem():
        found = found.exclude(spec__allow_source=True)
    return found


def claim(build_id: int, lane: Lane | None = None) -> Build | None:
    return startable(lane).claim(build_id, settings.BUILD_LEASE_SECONDS)


def run_claimed(build: Build) -> None:
    with structlog.contextvars.bound_contextvars(image=build.image.name, build=build.number):
        bring_to_its_end(build)


def bring_to_its_end(build: Build) -> None:
    logger.info("Build %s of %s begins, attempt %s.", build.number, build.image, build.attempts)
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
    if build.is_active:
        logger.info("Build %s of %s is repeated later.", build.number, build.image)
        return
    logger.info("Build %s of %s %s.", build.number, build.image, build.state)
    if build.state == WorkState.SUCCEEDED:
        name_entry.enter(build.image)
    for cache in caches():
        cache.trim()
    upgrades.after_build(build)


def attempt(build: Build, journal: Journal, holder: Holder) -> None:
    """Make the image and record it. Raises a `DomainError` if it cannot be made, and `LeaseLost`."""
    if build.attempts > 1:
        died = ": the worker before this one died" if build.deaths else ""
        journal.line(f"Attempt {build.attempts}{died}.")
    try:
        product = make(build, journal, holder)
    except RepositoryNotThere:
        give_back(build, journal)
        return
    except HandOver:
        journal.line("This worker was told to stop: another one goes on with the build.")
        journal.flush()
        raise
    journal.line(f"Ready: {product.manifest_digest}")
    build_outcome.succeed(build, product, journal)


def give_back(build: Build, journal: Journal) -> None:
    """Put a build that has no repository yet back into the queue; the lock that it has is kept."""
    journal.line("The repository is not there yet: the build goes on as soon as it is.")
    journal.flush()
    # It has not begun, so it is no attempt.
    build.put_back(next_wake(), phase="", attempts=build.attempts - 1)
    if ManagedImage.objects.filter(pk=build.image_id, repository_ready_at__isnull=False).exists():
        # It was made just now, and its message has found the build taken.
        wake.send(wake.task_of(build), build.pk)


def finish_failed(build: Build, journal: Journal, error: DomainError) -> None:
    """Record the end of an attempt: the build's own, unless time may heal what failed."""
    journal.break_off()
    repeats = len(build.failed_attempts)
    if getattr(error, "retryable", False) and repeats < settings.BUILD_REPEATS:
        pause = FIRST_PAUSE * 3**repeats
        journal.line(f"Attempt {build.attempts} failed: {error}")
        journal.line(f"It is repeated in {pause.total_seconds():.0f} s.")
        journal.flush()
        build_outcome.repeat(build, error, pause)
        return
    journal.line(f"Failed: {error}")
    build_outcome.fail(build, error, journal)


def make(build: Build, journal: Journal, holder: Holder) -> build_outcome.Product:
    with work_folder(settings.CACHE_DIR, f"build-{build.pk}") as work, ExitStack() as held:

        def check() -> None:
            holder.check()
            journal.check()
            journal.flush_if_due()

        return ImageBuild(build, journal, check, work, held).product()
