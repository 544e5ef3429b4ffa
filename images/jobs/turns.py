"""Turns of the builds workers: a woken worker takes the work whose turn it is, then wakes the next."""

from __future__ import annotations

from images import wake
from images.jobs import alteration, build
from images.models import Alteration, Build
from images.models.lane import Lane
from images.queries import fair_queue
from ri_platform.locks import exclusive


def take(lane: Lane, model: type[Build] | type[Alteration], pk: int) -> None:
    """Claim the lane's next piece of work and bring it to its end.

    The message named one, which need not be the one. If it stands in the other lane, as one that was sent
    before there were two, a worker of that lane is woken.
    """
    named = model.objects.filter(pk=pk).first()
    if named is not None and Lane.of(named.spec) != lane:
        wake_for(model, Lane.of(named.spec), pk)
        return
    work = claim_next(lane)
    if work is None:
        return
    try:
        if isinstance(work, Build):
            build.run_claimed(work)
        else:
            alteration.run_claimed(work)
    finally:
        wake_next(lane)


def claim_next(lane: Lane) -> Build | Alteration | None:
    """Take the lease of what is next, one worker of the lane at a time, so that limits hold."""
    with exclusive(f"turn {lane}", 0):
        for work in fair_queue.next_in(lane, build.startable(), alteration.startable()):
            claimed = build.claim(work.pk) if work.model is Build else alteration.claim(work.pk)
            if claimed is not None:
                return claimed
    return None


def wake_next(lane: Lane) -> None:
    """Send one more message if something waits: a message is no more than one piece of work."""
    for work in fair_queue.next_in(lane, build.startable(), alteration.startable()):
        wake_for(work.model, lane, work.pk)
        return


def wake_for(model: type[Build] | type[Alteration], lane: Lane, pk: int) -> None:
    wake.send((wake.RUN if model is Build else wake.RESOLVE)[lane], pk)
