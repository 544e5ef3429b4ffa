"""What a model runs on right now, for whatever runs it. Reads a few rows and never waits on AWS."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from images.models import Assignment, Build, ManagedImage, MLModel
from images.models.managed_image import Status
from images.operations.swaps import Choice, ExternalImagesNotAllowed, check_choice
from images.queries.capabilities import require_enabled
from images.references import pull_reference
from ri_platform.errors import Conflict, Unavailable
from workspaces.access import Actor

# Uses are noted to the minute, so that a thousand starts of a model are one write.
NOTED_EVERY = timedelta(minutes=1)
RETRY_SECONDS = 5


class ImageRemoved(Conflict):
    """The model's image was removed from the instance."""

    code = "image_removed"


class ImageFailed(Conflict):
    """The model's image has never been built successfully, and is not being built."""

    code = "image_failed"


class NoImage(Conflict):
    """The model was not given an image yet."""

    code = "model_has_no_image"


class ImageNotBuiltYet(Unavailable):
    """The first build of the model's image is still under way."""

    code = "image_not_built_yet"


class Usability(enum.Enum):
    """Whether a model can run on its image; the value is the word for it."""

    USABLE = "Ready"
    BUILDING = "Building"
    FAILED = "Failed"
    REMOVED = "Image removed"
    BLOCKED = "Blocked"

    @property
    def status(self) -> str:
        """The status mark that it is shown by."""
        return {"USABLE": "ready", "BUILDING": "building_first_time"}.get(
            self.name, self.name.lower()
        )


@dataclass(frozen=True)
class Resolved:
    """What to pull: a reference by digest where the platform knows it, and the secret to pull it with."""

    reference: str
    digest: str
    pull_secret: str
    image_name: str
    build_number: int | None


def usability(assignment: Assignment) -> Usability:
    """From rows that `Assignment.objects.with_image()` has loaded."""
    if assignment.external_reference:
        allowed = settings.ALLOW_EXTERNAL_CUSTOM_IMAGES
        return Usability.USABLE if allowed else Usability.BLOCKED
    image = assignment.image
    if image is None or image.removed_at is not None:
        return Usability.REMOVED
    if pulled_build(assignment) is not None:
        return Usability.USABLE
    building = image.status == Status.BUILDING_FIRST_TIME
    return Usability.BUILDING if building else Usability.FAILED


def pulled_build(assignment: Assignment) -> Build | None:
    """The build that a model on this managed image runs on: the pinned one, else the image's current."""
    if assignment.build_number is not None:
        return assignment.build
    return assignment.image.current_build if assignment.image else None


def resolve(model: MLModel) -> Resolved:
    """The image to run the model on, noting that it is used.

    Raises `NoImage`, `ImageRemoved`, `ImageFailed`, `ExternalImagesNotAllowed`, and `ImageNotBuiltYet`, which
    says when to ask again.
    """
    assignment = Assignment.objects.current().with_image().filter(model=model).first()
    if assignment is None:
        raise NoImage(f"{model.name} has no image yet.", hint="Choose one on the model's page.")
    if assignment.image_name:
        require_enabled()
    refuse_unusable(assignment)
    note_use(model, assignment.image)
    return resolved(assignment)


def validate_image(actor: Actor, choice: Choice) -> Resolved:
    """What something would pull that ran on this choice now. Raises as `swap_image` and `resolve`."""
    with transaction.atomic():
        assignment = check_choice(actor, choice)
    refuse_unusable(assignment)
    return resolved(assignment)


def resolved(assignment: Assignment) -> Resolved:
    """What a usable assignment pulls."""
    build = pulled_build(assignment)
    if assignment.image is None or build is None:
        reference = assignment.external_reference
        return Resolved(reference, reference.partition("@")[2], assignment.pull_secret, "", None)
    return Resolved(
        pull_reference(assignment.image, build), build.manifest_digest, "", assignment.image_name,
        build.number,
    )  # fmt: skip


def refuse_unusable(assignment: Assignment) -> None:
    match usability(assignment):
        case Usability.BLOCKED:
            raise ExternalImagesNotAllowed
        case Usability.REMOVED:
            raise ImageRemoved(
                f"The managed image {assignment.image_name} was removed.",
                hint="Choose another image, or have an Organization Administrator restore it.",
            )
        case Usability.FAILED:
            raise ImageFailed(
                f"No build of {assignment.image_name} has succeeded.",
                hint="Its page says why; build it again or choose another image.",
            )
        case Usability.BUILDING:
            raise ImageNotBuiltYet(
                f"{assignment.image_name} is still being built.",
                hint="Ask again in a few seconds.",
                retry_after=RETRY_SECONDS,
            )


def note_use(model: MLModel, image: ManagedImage | None) -> None:
    """Record that a model ran. The upgrade of images and the removal dialog look at it."""
    now = timezone.now()
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - NOTED_EVERY)
    # The rows at hand spare most calls the write.
    if model.last_used_at is None or model.last_used_at < now - NOTED_EVERY:
        MLModel.objects.filter(stale, pk=model.pk).update(last_used_at=now)
    if image and (image.last_used_at is None or image.last_used_at < now - NOTED_EVERY):
        ManagedImage.objects.filter(stale, pk=image.pk).update(last_used_at=now)
