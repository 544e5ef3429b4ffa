"""Changes of a model's image: swap, swap back, build a fitting one, and swaps that wait for a build.

A model's image changes at once if it can be pulled. If its first build is still under way and the model has
something to run on, the swap waits and happens in the transaction that makes the image READY.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from images.errors import RegistryError
from images.models import Assignment, AssignmentState, ImageType, ManagedImage, MLModel
from images.operations.images import create_image
from images.operations.ml_models import EditModel, create_model, edit_model
from images.queries.capabilities import require_enabled
from images.queries.chosen_images import default_image, own_image
from images.queries.kept_builds import kept_builds
from images.registry.reference import parse_reference
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid, NotFound
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.models import Workspace


@dataclass(frozen=True)
class ManagedChoice:
    """A managed image by name; with the number of a build, always that build of it."""

    name: str
    build: str | int | None = None


@dataclass(frozen=True)
class ExternalChoice:
    """An image that the platform did not build, and the name of the secret that it is pulled with, if any."""

    reference: str
    pull_secret: str = ""


Choice = ManagedChoice | ExternalChoice


class ExternalImagesNotAllowed(Conflict):
    """The configuration does not allow images that the platform did not build."""

    code = "external_images_not_allowed"

    def __init__(self) -> None:
        super().__init__(
            "This instance does not allow external custom images.",
            hint="Choose a managed image; an operator can allow them with allow_external_custom_images.",
        )


def swap_image(actor: Actor, model: MLModel, choice: Choice) -> Assignment:
    """Have a model run on another image, now or as soon as that can be pulled.

    Raises `NotFound` for an image or build that is not there, `Conflict` if it never can be pulled, if the
    model runs on it already, or if external images are not allowed, `Invalid` for no image reference.
    """
    require(actor, Action.SWAP_IMAGE, model.workspace)
    with transaction.atomic():
        # The image before the model, in the order of a build that ends; so READY cannot come in between.
        wanted = check_choice(actor, choice)
        locked = MLModel.objects.lock(model)
        present = Assignment.objects.current().filter(model=locked).first()
        if present and present.is_same_image_as(wanted):
            raise Conflict(f"{locked.name} runs on {present.label} already.")
        before = present or default_image(locked.workspace_id)
        waits = before is not None and not wanted.can_be_pulled
        Assignment.objects.waiting().filter(model=locked).delete()
        wanted.model, wanted.assigned_by = locked, actor.user
        if waits:
            wanted.state = AssignmentState.WAITING
            wanted.save()
            event, details = "model.swap_asked_for", {"image": wanted.label}
        else:
            wanted.begin(present)
            event = "model.image_swapped"
            details = {"before": before.label if before else "", "image": wanted.label}
        record_about(event, actor, locked, model.workspace, **details)
    return wanted


def create_model_on(
    actor: Actor, workspace: Workspace, command: EditModel, choice: Choice | None
) -> MLModel:
    """Make a model and give it an image, both or neither. Raises as `create_model` and `swap_image`."""
    with transaction.atomic():
        model = create_model(actor, workspace, command)
        if choice is not None:
            swap_image(actor, model, choice)
    return model


def edit_model_on(
    actor: Actor, model: MLModel, command: EditModel, choice: Choice | None
) -> MLModel:
    """Change a model and its image, both or neither; an image that it runs on already stays.

    Raises as `edit_model` and `swap_image`.
    """
    with transaction.atomic():
        # The image is locked before the model, as in `swap_image`.
        if choice is not None:
            present = own_image(model)
            if present is None or not present.is_same_image_as(check_choice(actor, choice)):
                swap_image(actor, model, choice)
        return edit_model(actor, model, command)


def swap_to_default(actor: Actor, model: MLModel) -> None:
    """Have a model run on the default image of its workspace, whichever that is from now on.

    Raises `Conflict` if the workspace has none, or if the model has no image of its own.
    """
    require(actor, Action.SWAP_IMAGE, model.workspace)
    with transaction.atomic():
        locked = MLModel.objects.lock(model)
        present, default = own_image(locked), default_image(locked.workspace_id)
        if default is None:
            raise Conflict(
                f"{model.workspace.name} has no default image.",
                hint="Its administrators choose one in Settings → General.",
            )
        if present is None:
            raise Conflict(f"{locked.name} runs on the default image of its workspace already.")
        Assignment.objects.waiting().filter(model=locked).delete()
        present.end()
        record_about(
            "model.image_swapped", actor, locked, model.workspace,
            before=present.label, image=default.label, default=True,
        )  # fmt: skip


def past_choice(model: MLModel, assignment_id: int) -> Choice:
    """The choice of an image of a model's history, to swap back to. Raises `NotFound`."""
    past = model.assignments.filter(pk=assignment_id, state=AssignmentState.PAST).first()
    if past is None:
        raise NotFound(f"{model.name} has not run on this image.")
    if past.external_reference:
        return ExternalChoice(past.external_reference, past.pull_secret)
    return ManagedChoice(past.image_name, past.build_number)


def build_one_that_fits(
    actor: Actor,
    model: MLModel,
    name: str,
    *,
    indexes: Sequence[str] = (),
    allow_prereleases: bool = False,
) -> Assignment:
    """Create an image with just the model's requirements, and swap to it when it is READY.

    `indexes` and `allow_prereleases` are taken beside what the requirements' options say.
    Raises as `create_image`, and `Invalid` for a model without requirements.
    """
    require(actor, Action.SWAP_IMAGE, model.workspace)
    with transaction.atomic():
        spec = fitting_spec(model, indexes, allow_prereleases=allow_prereleases)
        image = create_image(actor, name, spec, workspace=model.workspace)
        return swap_image(actor, model, ManagedChoice(image.name))


def fitting_spec(
    model: MLModel, indexes: Sequence[str] = (), *, allow_prereleases: bool = False
) -> ImageSpec:
    """The spec of an image that has what a model needs and nothing else. Raises `Invalid`."""
    if not model.needs:
        raise Invalid(
            f"{model.name} has no requirements to build an image from.",
            hint="Say first which libraries it needs.",
        )
    return ImageSpec(
        ImageType.ALL,
        model.python_version,
        model.needs,
        indexes=tuple(dict.fromkeys((*indexes, *model.indexes))),
        allow_prereleases=allow_prereleases or model.allow_prereleases,
    )


def stop_waiting(actor: Actor, model: MLModel) -> None:
    """Leave a model on the image that it runs on; what it waits for is built all the same."""
    require(actor, Action.SWAP_IMAGE, model.workspace)
    with transaction.atomic():
        locked = MLModel.objects.lock(model)
        waiting = Assignment.objects.waiting().filter(model=locked).first()
        if waiting is None:
            raise Conflict(f"{locked.name} waits for no image.")
        waiting.delete()
        record_about("model.swap_called_off", actor, locked, model.workspace, image=waiting.label)


def image_is_ready(image: ManagedImage) -> None:
    """Do the swaps that wait for an image; the caller's transaction, which makes it READY."""
    models = MLModel.objects.select_for_update(of=("self",)).select_related("workspace")
    waiting = Assignment.objects.waiting().filter(image=image)
    for model in models.filter(pk__in=waiting.values("model")).order_by("pk"):
        # Looked at once more under the model's lock: somebody may have called it off.
        assignment = waiting.filter(model=model).select_related("assigned_by").first()
        if assignment is None:
            continue
        present = Assignment.objects.current().filter(model=model).first()
        assignment.begin(present)
        record_about(
            "model.image_swapped",
            Actor(assignment.assigned_by) if assignment.assigned_by else None,
            model,
            model.workspace,
            before=present.label if present else "",
            image=assignment.label,
            waited=True,
        )


# --- what they share ----------------------------------------------------------------------------------------


def check_choice(actor: Actor, choice: Choice) -> Assignment:
    """The choice as a row that is not saved yet, its image locked. Raises as `swap_image`."""
    if isinstance(choice, ExternalChoice):
        return check_external(choice)
    require_enabled()
    image = ManagedImage.objects.select_for_update().named(actor.user, choice.name)
    build = None
    if choice.build is not None:
        build = kept_builds(image).numbered(choice.build)
        if build is None:
            succeeded = image.revision_numbered(choice.build)
            raise Conflict(
                f"Build {succeeded.number} of {image.name} is no longer kept in the registry.",
                hint=f"Roll {image.name} back to it, which builds it again, or choose a newer build.",
            )
    elif not image.current_build_id and not image.builds.active().exists():
        raise Conflict(
            f"No build of {image.name} has succeeded, so nothing can run on it.",
            hint="Build it again first, or choose another image.",
        )
    number = build.number if build else None
    return Assignment(image=image, image_name=image.name, build=build, build_number=number)


def check_external(choice: ExternalChoice) -> Assignment:
    if not settings.ALLOW_EXTERNAL_CUSTOM_IMAGES:
        raise ExternalImagesNotAllowed
    reference, secret = choice.reference.strip(), choice.pull_secret.strip()
    if len(reference) > 512:
        raise Invalid("An image reference has at most 512 characters.", field="reference")
    try:
        parse_reference(reference)
    except RegistryError as error:
        raise Invalid(error.message, hint=error.hint, field="reference") from error
    if secret and not is_secret_name(secret):
        raise Invalid(
            f"{secret!r} is not the name of a secret.",
            hint="Use lower-case letters, digits, - and ., as Kubernetes names its objects.",
            field="pull_secret",
        )
    return Assignment(external_reference=reference, pull_secret=secret)


def is_secret_name(text: str) -> bool:
    """Whether Kubernetes takes it as a Secret's name (a DNS subdomain, RFC 1123)."""
    labels = text.split(".")
    return len(text) <= 253 and all(
        label and label[0] != "-" != label[-1]
        and all(c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in label)
        for label in labels
    )  # fmt: skip
