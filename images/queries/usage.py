"""Who uses an image: the models that run on it or wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from images.models import Assignment, ManagedImage
from workspaces.access import Actor
from workspaces.models import Workspace

SHOWN = 20


@dataclass(frozen=True)
class Use:
    """Models that run on an image: those that somebody may see, and how many there are besides."""

    models: Sequence[Assignment]
    others: int
    last_used_at: datetime | None

    @property
    def count(self) -> int:
        return len(self.models) + self.others

    def __bool__(self) -> bool:
        return self.count > 0


def use_of(image: ManagedImage, actor: Actor, *, shown: int = SHOWN) -> Use:
    """The first models by workspace and name; what is beyond them counts among the others."""
    current = Assignment.objects.current().filter(image=image)
    visible = (
        current.filter(model__workspace__in=Workspace.objects.visible_to(actor))
        .select_related("model__workspace")
        .order_by("model__workspace__name", "model__name")
    )
    models = list(visible[:shown])
    return Use(models, current.count() - len(models), image.last_used_at)


def is_used(image: ManagedImage) -> bool:
    return Assignment.objects.current().filter(image=image).exists()
