"""Turns of the registry worker: repositories of new images are made in a round robin over their creators.

A new image waits for its repository before anything else, so this queue is as fair as that of builds
(docs/decisions/0022-fair-queues.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Max, Min, Q, QuerySet
from django.utils import timezone

from images import wake
from images.jobs import repositories
from images.models import BaseImage, Build, ManagedImage
from images.models.base_image import BaseImageQuerySet
from images.models.lease import ACTIVE
from images.queries.fair_queue import NEVER, REMEMBERED
from ri_platform.locks import exclusive_if_free


def take(image_id: int) -> None:
    """Make the repository whose turn it is, then send a message for the next.

    The message named one, which need not be the one; if that is there already, its build is woken.
    """
    prepare_base()
    if not due(image_id).filter(pk=image_id).exists():
        repositories.prepare_repository(image_id)
    taken = prepare_next(image_id)
    if taken is None:
        return
    if taken != image_id and due(image_id).filter(pk=image_id).exists():
        # Where it has failed before, no other message would have it tried again soon.
        wake.send(wake.Task.PREPARE_REPOSITORY, image_id)
        return
    for pk in in_turn():
        wake.send(wake.Task.PREPARE_REPOSITORY, pk)
        return


def prepare_base() -> None:
    """Make the repository of a base image that waits for it, if there is one: images are built upon it."""
    base = waiting_bases().order_by("created_at").first()
    if base is None:
        return
    with exclusive_if_free("base-repository", base.pk) as free:
        if free:
            repositories.prepare_base_repository(base.pk)


def waiting_bases() -> BaseImageQuerySet:
    return BaseImage.objects.claimable().filter(repository_ready_at=None, error_code="")


def somebody_waits() -> bool:
    """Whether a repository is to be made now, for which long work of the registry worker is to give way."""
    return due().exists() or waiting_bases().exists()


def prepare_next(named: int = 0) -> int | None:
    """Make the repository whose turn it is; returns its image's key, or None if none waits."""
    for pk in in_turn(named):
        with exclusive_if_free("image-repository", pk) as held:
            if held:
                repositories.prepare_repository(pk)
                return pk
    return None


def due(named: int = 0) -> QuerySet[ManagedImage]:
    """Images that wait for their repository. One that failed waits for its time, or to be named.

    A build that is under way waits for it, too: it resolves meanwhile, and may have lost its worker.
    """
    now = Q(repository_error="") | Q(repository_due_at__lt=timezone.now()) | Q(pk=named)
    return ManagedImage.objects.existing().filter(
        now,
        repository_ready_at=None,
        pk__in=Build.objects.filter(state__in=ACTIVE).values("image"),
    )


def in_turn(named: int = 0) -> Iterator[int]:
    """The images that are due by their keys: who was served longest ago is first, then who waits longest."""
    waiting = due(named)
    first = dict(waiting.values_list("created_by").annotate(Min("pk")))
    if not first:
        return
    served = dict(
        ManagedImage.objects.filter(repository_ready_at__gt=timezone.now() - REMEMBERED)
        .values_list("created_by")
        .annotate(Max("repository_ready_at"))
    )
    for user in sorted(first, key=lambda user: (served.get(user, NEVER), first[user])):
        # The first may be another worker's by now.
        yield from (
            waiting.filter(created_by=user)
            .order_by("pk")
            .values_list("pk", flat=True)[: wake.ENOUGH]
        )
