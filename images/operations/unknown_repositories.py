"""Operations on repositories that no record knows: adopt one as an image of this instance, or delete it.

Both are wishes, which workers with the AWS identities carry out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from images import wake
from images.models import Build, BuildReason, ManagedImage, UnknownRepository, Wish
from images.models.lease import ACTIVE, WorkState, end_columns, error_columns
from images.queries.capabilities import require_enabled
from images.queries.unknown_repositories import unknown_repository
from ri_platform.errors import Conflict
from workspaces import audit
from workspaces.access import Action, Actor, require


class FoundRepository(Protocol):
    """A repository as a look found it; `name` is without the prefix."""

    @property
    def name(self) -> str: ...

    @property
    def tags(self) -> Sequence[str]: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def pushed_at(self) -> datetime | None: ...


def record_found(found: FoundRepository) -> None:
    """Keep what a look found. One that was decided about stays what it was then."""
    values = {
        "tags": list(found.tags),
        "size_bytes": found.size_bytes,
        "pushed_at": found.pushed_at,
        "of_known_image": ManagedImage.objects.filter(name=found.name).exists(),
    }
    if record_unread(found.name):
        UnknownRepository.objects.open().filter(name=found.name, wish=Wish.NONE).update(**values)
    else:
        # Another look may list it in the same moment.
        row = UnknownRepository(name=found.name, **values)
        UnknownRepository.objects.bulk_create([row], ignore_conflicts=True)


def record_unread(name: str) -> int:
    """Take a repository for there as it was, such as one that AWS tells nothing of; 0 if it is not listed."""
    return UnknownRepository.objects.open().filter(name=name).update(seen_at=timezone.now())


def forget_gone(since: datetime) -> None:
    """Forget what no look has found since then. What somebody decided on is left to its worker."""
    listed = UnknownRepository.objects.open().filter(of_known_image=False, seen_at__lt=since)
    decided = ~Q(wish=Wish.NONE) & Q(state__in=ACTIVE)
    listed.exclude(decided).update(**end_columns(WorkState.SUCCEEDED))


def record_left(found: FoundRepository) -> None:
    """List the repository of a removed image that was not deleted, with what administrators can do.

    The caller deletes the image in its transaction.
    """
    why = Conflict(
        f"The image {found.name} was removed, but its repository holds builds that its records did not have, "
        "so it was not deleted.",
        hint="They may be newer than a restored backup. Adopt the repository, or delete it.",
    )
    UnknownRepository.objects.open().filter(name=found.name).delete()
    UnknownRepository.objects.create(
        name=found.name,
        tags=list(found.tags),
        size_bytes=found.size_bytes,
        pushed_at=found.pushed_at,
        **error_columns(why),
    )
    audit.record(
        "repository.left",
        None,
        object_type="repository",
        object_name=found.name,
        details={"tags": len(found.tags)},
    )


def record_newer_builds(found: ManagedImage, numbers: Sequence[int]) -> bool:
    """Keep which builds of an image the registry has and no record knows; False if it has none.

    Their numbers are taken from now on: no tag of a build moves, so another build could not have them.
    """
    listed = UnknownRepository.objects.open().filter(name=found.name)
    if not numbers:
        undecided = listed.filter(of_known_image=True, wish=Wish.NONE)
        undecided.update(**end_columns(WorkState.SUCCEEDED))
        return False
    with transaction.atomic():
        image = ManagedImage.objects.existing().select_for_update().filter(pk=found.pk).first()
        newest = Build.objects.filter(image=found.pk).order_by("-number").first()
        if image is None or newest is None or image.builds.active().exists():
            return False
        if newest.number < numbers[-1]:
            Build.objects.create(
                image=image,
                number=numbers[-1],
                base_image=newest.base_image,
                spec=image.spec,
                reason=BuildReason.ADOPT,
                description=image.description,
                **end_columns(WorkState.CANCELLED),
            )
        tags = [f"build-{number}" for number in numbers]
        row = listed.first()
        if row is None:
            UnknownRepository.objects.create(name=image.name, tags=tags, of_known_image=True)
        elif not row.wish:
            values = {"tags": tags, "of_known_image": True, "seen_at": timezone.now()}
            UnknownRepository.objects.filter(pk=row.pk).update(**values)
    return True


def forget_superseded() -> None:
    """Later builds that nobody adopted are of no interest once the image has a build that is later still."""
    for row in UnknownRepository.objects.open().filter(of_known_image=True, wish=Wish.NONE):
        later = Build.objects.revisions().filter(
            image__name=row.name, number__gt=max(map(int, row.builds), default=0)
        )
        if later.exists() or not ManagedImage.objects.existing().filter(name=row.name).exists():
            UnknownRepository.objects.filter(pk=row.pk).update(**end_columns(WorkState.SUCCEEDED))


def adopt_repository(actor: Actor, name: str) -> UnknownRepository:
    """Have the image in a repository be one of this instance. Raises `NotFound` and `Conflict`."""
    return decide(actor, name, Wish.ADOPT)


def delete_unknown_repository(actor: Actor, name: str) -> UnknownRepository:
    """Have a repository deleted with all in it. Raises `NotFound` and `Conflict`."""
    return decide(actor, name, Wish.DELETE)


TASKS = {
    Wish.ADOPT: wake.Task.ADOPT_REPOSITORY,
    Wish.DELETE: wake.Task.DELETE_UNKNOWN_REPOSITORY,
}


def decide(actor: Actor, name: str, wish: Wish) -> UnknownRepository:
    require(actor, Action.MANAGE_UNKNOWN_REPOSITORIES)
    require_enabled()
    with transaction.atomic():
        row = UnknownRepository.objects.select_for_update().get(pk=unknown_repository(name).pk)
        if row.state == WorkState.RUNNING:
            raise Conflict(f"A worker is at {name} already.")
        if wish == Wish.ADOPT and row.holds_base_images:
            raise Conflict(
                f"{name} holds base images, and these are imported, not adopted.",
                hint="Import the base image again, or delete the repository.",
            )
        if wish == Wish.DELETE and row.of_known_image:
            raise Conflict(
                f"{name} is the repository of an image, of which only some builds are not known.",
                hint="Adopt the newest of them, or leave them: they expire after later builds.",
            )
        row.wish, row.wished_by, row.state = wish, actor.user, WorkState.QUEUED
        row.due_at = row.wished_at = timezone.now()
        row.attempts, row.finished_at = 0, None
        row.error_code = row.error_message = row.error_hint = ""
        row.save()
        verb = "adoption_requested" if wish == Wish.ADOPT else "deletion_requested"
        audit.record(
            f"repository.{verb}",
            actor,
            object_type="repository",
            object_name=name,
            details={"tags": len(row.tags)},
        )
        wake.after_commit(TASKS[wish], row.pk)
    return row
