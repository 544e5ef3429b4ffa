"""The use of an image: the models that run on it, and the workspaces whose default it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from images.models import Assignment, DefaultImage, ManagedImage, MLModel
from workspaces.access import Actor
from workspaces.models import Workspace

SHOWN = 20


@dataclass(frozen=True)
class Use:
    """Models that run on an image, and workspaces whose default it is: those that somebody may see, and how
    many there are besides. Each default has `followers`, the number of models without an image of their own.
    """

    models: Sequence[Assignment]
    others: int
    defaults: Sequence[DefaultImage]
    other_defaults: int
    last_used_at: datetime | None

    @property
    def count(self) -> int:
        """The models whose own image it is."""
        return len(self.models) + self.others

    @property
    def default_count(self) -> int:
        return len(self.defaults) + self.other_defaults

    def __bool__(self) -> bool:
        return self.count > 0 or self.default_count > 0


def use_of(image: ManagedImage, actor: Actor, *, shown: int = SHOWN) -> Use:
    """The first by workspace and name; what is beyond them counts among the others."""
    seen = Workspace.objects.visible_to(actor)
    current = Assignment.objects.current().filter(image=image)
    models = list(
        current.filter(model__workspace__in=seen)
        .select_related("model__workspace")
        .order_by("model__workspace__name", "model__name")[:shown]
    )
    default_of = DefaultImage.objects.filter(image=image)
    defaults = list(
        default_of.filter(workspace__in=seen)
        .select_related("workspace")
        .annotate(followers=Coalesce(Subquery(count_followers()), 0))
        .order_by("workspace__name")[:shown]
    )
    return Use(
        models,
        current.count() - len(models),
        defaults,
        default_of.count() - len(defaults),
        image.last_used_at,
    )


def count_followers() -> QuerySet[MLModel, Any]:
    """Of the outer query's default, the number of the workspace's models without an image of their own."""
    return (
        MLModel.objects.without_own_image()
        .filter(workspace=OuterRef("workspace"))
        .order_by()
        .values("workspace")
        .annotate(number=Count("pk"))
        .values("number")
    )


def is_used(image: ManagedImage) -> bool:
    return (
        Assignment.objects.current().filter(image=image).exists()
        or DefaultImage.objects.filter(image=image).exists()
    )
