"""Turns of the builds workers: a woken worker takes the work whose turn it is, then wakes the next."""

from __future__ import annotations

from django.db import transaction

from images import wake
from images.jobs import alteration, attest, base_image, build, import_check, moving_tags, repair
from images.models import Alteration, BaseImage, Build
from images.models.build import OF_THE_PLATFORM
from images.models.lane import Lane
from images.models.lease import WorkState
from images.queries import fair_queue
from images.queries.fair_queue import Startable, WaitingWork, Work
from ri_platform.locks import hold_until_commit, left_for_later
from ri_platform.stopping import this_worker

LOOKS = 3


def take(lane: Lane, model: type[Work], pk: int) -> None:
    """Claim the lane's next piece of work and bring it to its end.

    The message named one, which need not be the one. If it stands in the other lane, as one that was sent
    before there were two, a worker of that lane is woken.
    """
    named = None if model is BaseImage else model._default_manager.filter(pk=pk).first()
    if isinstance(named, Build | Alteration) and Lane.of(named.spec) != lane:
        wake.send(wake.task_of(named), pk)
        return
    if lane is Lane.BUILDS:
        # Seconds of work that messages of many builds must not keep waiting.
        with left_for_later("Moving tags"):
            moving_tags.move_next()
    work = claim_next(lane)
    if work is None:
        return
    try:
        run_claimed(work)
    finally:
        wake_next(lane)


def take_check() -> None:
    """Try the imports of the image whose turn it is, once nothing else waits for a worker of the lane.

    Nobody waits for a check, so messages of many checks must not keep a source build waiting.
    """
    while (work := claim_next(Lane.SOURCES)) is not None:
        run_claimed(work)
    if not this_worker.is_told:
        import_check.run_next()


def take_attestation(attestation_id: int) -> None:
    """Write SBOM and provenance of a build that is ready; a build that waits goes first.

    One build at most, so that those of a long queue are written while it lasts.
    """
    try:
        if (work := claim_next(Lane.BUILDS)) is not None:
            run_claimed(work)
        if not this_worker.is_told:
            attest.write(attestation_id)
    finally:
        wake_next(Lane.BUILDS)


def take_repair(lane: Lane, drift_id: int) -> None:
    """Push an image again that the registry lost; a piece of work that waits in the lane goes first.

    One piece at most, so that images are pushed again while a queue is long.
    """
    try:
        if (work := claim_next(lane)) is not None:
            run_claimed(work)
        repair.push_again(drift_id)
    finally:
        repair.wake_due()
        wake_next(lane)


def run_claimed(work: Work) -> None:
    match work:
        case Build():
            build.run_claimed(work)
            if work.state == WorkState.SUCCEEDED and work.reason not in OF_THE_PLATFORM:
                # Its message may stand behind those of many builds; by then this was all.
                moving_tags.move_tags(work.image_id)
        case Alteration():
            alteration.run_claimed(work)
        case BaseImage():
            base_image.run_claimed(work)


def claim_next(lane: Lane) -> Work | None:
    """Take the lease of what is next, one worker of the lane at a time, so that limits hold.

    A worker that was told to stop begins nothing. The lock is the transaction's: PostgreSQL ends one that
    stands still, so a worker that is paused here does not stop its lane.
    """
    if this_worker.is_told:
        return None
    with transaction.atomic():
        hold_until_commit(f"turn {lane}")
        # What is cancelled between the look and the claim, or being written by a worker that is taken for
        # dead, leaves its user's next work to a new look.
        passed: list[WaitingWork] = []
        for _ in range(LOOKS):
            found = list(fair_queue.next_in(lane, startable(lane).without(passed)))
            for work in found:
                claimed = claim(work, lane)
                if claimed is not None:
                    return claimed
            if not found:
                break
            passed += found
    return None


def claim(work: WaitingWork, lane: Lane) -> Work | None:
    if work.model is Build:
        return build.claim(work.pk, lane)
    if work.model is Alteration:
        return alteration.claim(work.pk)
    return base_image.claim(work.pk)


def startable(lane: Lane) -> Startable:
    return Startable(build.startable(lane), alteration.startable(), base_image.startable())


def wake_next(lane: Lane) -> None:
    """Send one more message if something waits: a message is no more than one piece of work."""
    wakes = {
        Build: wake.RUN[lane],
        Alteration: wake.RESOLVE[lane],
        BaseImage: wake.Task.IMPORT_BASE_IMAGE,
    }
    for work in fair_queue.next_in(lane, startable(lane)):
        wake.send(wakes[work.model], work.pk)
        return
