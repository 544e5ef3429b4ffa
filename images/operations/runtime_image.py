"""The image reference that a model runs on, for its runtime. Reads a few rows and never calls AWS."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from images.models import Build, ChosenImage, DefaultImage, ManagedImage, MLModel
from images.models.managed_image import Status
from images.operations.swaps import Choice, ExternalImagesNotAllowed, check_choice
from images.queries.capabilities import require_enabled
from images.queries.chosen_images import ImageSource, default_image, own_image, source_of
from images.references import pull_reference, split_reference
from images.run_time.request import RunRequest
from ri_platform.errors import Conflict, NotFound, Unavailable
from workspaces.access import Actor
from workspaces.models import Workspace

# Uses are noted to the minute, so that a thousand starts of a model are one write.
NOTED_EVERY = timedelta(minutes=1)
RETRY_SECONDS = 5
NOTHING_ASKED = RunRequest()


class ImageRemoved(Conflict):
    """The model's image was removed from the instance."""

    code = "image_removed"


class ImageFailed(Conflict):
    """The model's image has never been built successfully, and is not being built."""

    code = "image_failed"


class NoImage(Conflict):
    """The model was not given an image yet."""

    code = "model_has_no_image"


class NoImageToRunOn(NotFound):
    """Neither the model nor its workspace was given an image."""

    code = "no_image_to_run_on"


class ImageNotBuiltYet(Unavailable):
    """The first build of the model's image is still under way."""

    code = "image_not_built_yet"


class Usability(enum.Enum):
    """The usability of a model's image; the value is the word for it."""

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
class RuntimeImage:
    """The image to pull: a reference, by digest if the platform knows it, and the pull secret.

    `repository` is the reference without tag and digest, `tag` is empty if an external image is named by
    digest alone. `asks` is what the run asks of the machine. `source` is None for a choice that nobody has
    made yet.
    """

    reference: str
    repository: str
    digest: str
    tag: str
    pull_secret: str
    image_name: str
    build_number: int | None
    asks: RunRequest = NOTHING_ASKED
    source: ImageSource | None = None


def usability(chosen: ChosenImage) -> Usability:
    """From a row that `with_image()` has loaded."""
    if chosen.external_reference:
        allowed = settings.ALLOW_EXTERNAL_CUSTOM_IMAGES
        return Usability.USABLE if allowed else Usability.BLOCKED
    image = chosen.image
    if image is None or image.removed_at is not None:
        return Usability.REMOVED
    if pulled_build(chosen) is not None:
        return Usability.USABLE
    building = image.status == Status.BUILDING_FIRST_TIME
    return Usability.BUILDING if building else Usability.FAILED


def pulled_build(chosen: ChosenImage) -> Build | None:
    """The build that is run on of a managed image: the pinned one, else the image's current."""
    if chosen.build_number is not None:
        return chosen.build
    return chosen.image.current_build if chosen.image else None


def resolve(model: MLModel) -> RuntimeImage:
    """The image to run the model on, noting that it is used: its own, else its workspace's default.

    Raises `NoImage`, `ImageRemoved`, `ImageFailed`, `ExternalImagesNotAllowed`, and `ImageNotBuiltYet`, which
    says when to ask again.
    """
    found = resolve_row(model, own_image(model), default_image(model.workspace_id))
    if found is None:
        raise NoImage(f"{model.name} has no image yet.", hint="Choose one on the model's page.")
    return found


def resolve_in(workspace: Workspace, model: MLModel | None) -> RuntimeImage:
    """The image for a run in a workspace: the model's, or without a model the workspace's default.

    Raises as `resolve`, but `NoImageToRunOn` if there is neither.
    """
    own = own_image(model) if model else None
    found = resolve_row(model, own, default_image(workspace.pk))
    if found is None:
        whose = f"{model.name} has no image of its own, and" if model else "No model is named, and"
        raise NoImageToRunOn(
            f"{whose} {workspace.name} has no default image.",
            hint="Choose an image for the model, or a default in Settings → General.",
        )
    return found


def resolve_row(
    model: MLModel | None, own: ChosenImage | None, default: DefaultImage | None
) -> RuntimeImage | None:
    """The first of both, to pull. The default's request holds where the model's is silent."""
    chosen = own or default
    if chosen is None:
        return None
    if chosen.image_name:
        require_enabled()
    refuse_unusable(chosen)
    note_use(model, chosen.image)
    asks = model.asks if model else NOTHING_ASKED
    found = resolve_chosen(chosen)
    return replace(
        found, source=source_of(chosen), asks=asks.over(default.asks) if default else asks
    )


def validate_image(actor: Actor, choice: Choice) -> RuntimeImage:
    """The image that a model with this choice would pull now. Raises as `swap_image` and `resolve` do."""
    with transaction.atomic():
        chosen = check_choice(actor, choice)
    refuse_unusable(chosen)
    return resolve_chosen(chosen)


def resolve_chosen(chosen: ChosenImage) -> RuntimeImage:
    """The image that a usable choice pulls."""
    build = pulled_build(chosen)
    if chosen.image is None or build is None:
        reference = chosen.external_reference
        repository, tag, digest = split_reference(reference)
        return RuntimeImage(reference, repository, digest, tag, chosen.pull_secret, "", None)
    reference = pull_reference(chosen.image, build)
    return RuntimeImage(
        reference, reference.partition("@")[0], build.manifest_digest, build.tag, "",
        chosen.image_name, build.number,
    )  # fmt: skip


def refuse_unusable(chosen: ChosenImage) -> None:
    match usability(chosen):
        case Usability.BLOCKED:
            raise ExternalImagesNotAllowed
        case Usability.REMOVED:
            raise ImageRemoved(
                f"The managed image {chosen.image_name} was removed.",
                hint="Choose another image, or have an Organization Administrator restore it.",
            )
        case Usability.FAILED:
            raise ImageFailed(
                f"No build of {chosen.image_name} has succeeded.",
                hint="Its page says why; build it again or choose another image.",
            )
        case Usability.BUILDING:
            raise ImageNotBuiltYet(
                f"{chosen.image_name} is still being built.",
                hint="Ask again in a few seconds.",
                retry_after=RETRY_SECONDS,
            )


def note_use(model: MLModel | None, image: ManagedImage | None) -> None:
    """Record that a model ran. The upgrade of images and the removal dialog look at it."""
    now = timezone.now()
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - NOTED_EVERY)
    # The rows at hand spare most calls the write.
    if model and (model.last_used_at is None or model.last_used_at < now - NOTED_EVERY):
        MLModel.objects.filter(stale, pk=model.pk).update(last_used_at=now)
    if image and (image.last_used_at is None or image.last_used_at < now - NOTED_EVERY):
        ManagedImage.objects.filter(stale, pk=image.pk).update(last_used_at=now)
