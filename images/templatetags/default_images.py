"""The panel with a workspace's default image, for Settings → General."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import RequestContext

from images.operations.runtime_image import usability
from images.queries.chosen_images import default_image
from workspaces.access import TABLE, Action, Actor, allows
from workspaces.models import Workspace

register = template.Library()


@register.inclusion_tag("workspaces/_default_image.html", takes_context=True)
def default_image_panel(context: RequestContext, workspace: Workspace) -> dict[str, Any]:
    """What models without an image of their own run on, and the way to change it."""
    default = default_image(workspace.pk)
    actor = Actor.of(context["request"])
    return {
        "workspace": workspace,
        "default": default,
        "standing": usability(default) if default else None,
        "may_set": allows(actor, Action.SET_DEFAULT_IMAGE, workspace),
        "refusal": TABLE[Action.SET_DEFAULT_IMAGE].refusal,
    }
