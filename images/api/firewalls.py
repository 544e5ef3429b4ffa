"""REST endpoints for the image of a firewall, which is what public clients before 2.0 call a model."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query
from pydantic import ConfigDict, Field

from images.api.schemas import ImageReference
from images.models import Assignment, DefaultImage, ManagedImage, MLModel
from images.operations import swaps
from images.operations.ml_models import MODEL
from images.operations.swaps import ManagedChoice
from ri_platform.api import ERRORS, Camel, Line, router
from ri_platform.errors import NotFound
from ri_platform.text import column_length
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, guarded

routes = router("Firewalls", "The images of models, as public clients before 2.0 swap them.")


class FirewallsIn(Camel):
    """The models to return."""

    firewall_ids: list[UUID] = Field(
        min_length=1, max_length=50, examples=[["8a6f2c44-0d5e-4b9b-8d2f-1c7e5a9b3d10"]]
    )
    """Identifiers of models."""


class Firewall(Camel):
    """A model, in the form of a firewall."""

    id: UUID
    """The model's identifier."""
    name: str = Field(examples=["Churn"])
    """The model's name."""
    managed_image: ImageReference | None = None
    """The managed image that it runs on; absent if it runs on none."""


class Firewalls(Camel):
    """Models, in the form of firewalls."""

    firewalls: list[Firewall]
    """The models, in the order of the request."""


class ServiceMetrics(Camel):
    """The state of a model, in the form of a firewall's."""

    is_firewall_active: bool = Field(examples=[False])
    """Always false: the platform runs no firewalls."""


class ImageName(Camel):
    """A managed image."""

    name: Line = Field(min_length=1, max_length=column_length(ManagedImage, "name"))
    """Its name."""


class FirewallPatch(Camel):
    """What to change of a model, in the form of a firewall. Only the image can be changed so."""

    model_config = ConfigDict(extra="forbid")

    managed_image: ImageName
    """The managed image that it is to run on."""


@routes.get("/firewall", response={200: Firewalls, **ERRORS}, summary="Get firewalls' images")
@guarded(Action.SEE_MODELS)
def list_firewalls(request: HttpRequest, asked: Query[FirewallsIn]) -> dict[str, Any]:
    """Returns models with the managed images that they run on. For clients before 2.0."""
    visible = MLModel.objects.visible_to(Actor.of(request)).in_bulk(asked.firewall_ids)
    if missing := [str(key) for key in asked.firewall_ids if key not in visible]:
        raise NotFound(f"There is no model {missing[0]}.")
    own = dict(
        Assignment.objects.current().filter(model__in=visible).values_list("model", "image_name")
    )
    workspaces = {model.workspace_id for model in visible.values()}
    defaults = dict(
        DefaultImage.objects.filter(workspace__in=workspaces).values_list("workspace", "image_name")
    )
    # An external image has no name here, and its model does not run on the default.
    images = {
        key: own.get(key, defaults.get(model.workspace_id, "")) for key, model in visible.items()
    }
    return {
        "firewalls": [
            {
                "id": key,
                "name": visible[key].name,
                "managed_image": {"name": images[key]} if images[key] else None,
            }
            for key in asked.firewall_ids
        ]
    }


@routes.get(
    "/firewall/{model_id}/service-metrics",
    response={200: ServiceMetrics, **ERRORS},
    summary="Get a firewall's metrics",
)
@guarded(Action.SEE_MODELS, of=MODEL)
def get_service_metrics(request: HttpRequest, model: MLModel) -> dict[str, Any]:
    """Returns that no firewall is active. Clients before 2.0 ask before they swap an image."""
    return {"is_firewall_active": False}


@routes.put(
    "/firewall/components/{model_id}",
    response={200: Nothing, **ERRORS},
    summary="Swap a firewall's image",
)
@guarded(Action.SWAP_IMAGE, of=MODEL)
def update_firewall_components(
    request: HttpRequest, model: MLModel, wanted: FirewallPatch
) -> dict[str, Any]:
    """Swaps the model's image, as `PUT /v1/models/{model_id}/image` does. For clients before 2.0."""
    swaps.swap_image(Actor.of(request), model, ManagedChoice(wanted.managed_image.name))
    return {}
