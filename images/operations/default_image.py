"""Operations on the default image of a workspace: set it, and clear it."""

from __future__ import annotations

from django.db import transaction

from images.models import DefaultImage
from images.operations.swaps import Choice, check_choice
from images.run_time.request import RunRequest
from ri_platform.errors import Conflict, NotFound
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.models import Workspace


class NoDefaultImage(NotFound):
    """The workspace has no default image."""

    code = "workspace_has_no_default_image"


def set_default_image(
    actor: Actor, workspace: Workspace, choice: Choice, asks: RunRequest | None = None
) -> DefaultImage:
    """Have models without an image of their own run on this one; `asks` of None leaves the present request.

    Raises as `swap_image`, and `Conflict` for an image that cannot be pulled yet.
    """
    require(actor, Action.SET_DEFAULT_IMAGE, workspace)
    with transaction.atomic():
        # The image before the workspace: whoever removes an image locks that first.
        wanted = check_choice(actor, choice)
        if not wanted.can_be_pulled:
            raise Conflict(
                f"{wanted.label} is still being built, so nothing could run on it.",
                hint="Choose it when it is ready.",
            )
        locked = Workspace.objects.select_for_update().get(pk=workspace.pk)
        before = DefaultImage.objects.filter(workspace=locked).first()
        kept = before.asks if before else RunRequest()
        request = kept if asks is None else asks
        default, _ = DefaultImage.objects.update_or_create(
            workspace=locked,
            defaults={
                **wanted.choice_columns,
                "run_request": request.as_json(),
                "assigned_by": actor.user,
            },
        )
        record_about(
            "workspace.default_image_set", actor, locked, locked,
            before=before.label if before else "", image=default.label, asks=default.run_request,
        )  # fmt: skip
    return default


def clear_default_image(actor: Actor, workspace: Workspace) -> None:
    """Leave a workspace without a default image. Raises `NoDefaultImage` if it has none."""
    require(actor, Action.SET_DEFAULT_IMAGE, workspace)
    with transaction.atomic():
        default = DefaultImage.objects.select_for_update().filter(workspace=workspace).first()
        if default is None:
            raise NoDefaultImage(f"{workspace.name} has no default image.")
        record_about(
            "workspace.default_image_cleared", actor, workspace, workspace, before=default.label
        )
        default.delete()
