"""Tags that move: `latest`, which follows the current build, and channels, which an owner points at one."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from images.models.build import Build
from images.models.lease import next_wake
from images.models.managed_image import ManagedImage
from workspaces.models import User

# Where the registry does not have a tag at its build yet.
BEHIND = Q(pushed_build=None) | ~Q(pushed_build=F("build"))


class MovingTagQuerySet(models.QuerySet["MovingTag"]):
    def unpushed(self) -> MovingTagQuerySet:
        """Those that the registry does not have at their build yet."""
        return self.filter(BEHIND, image__removed_at=None, image__tags_may_move=True)

    def due(self) -> MovingTagQuerySet:
        return self.unpushed().filter(due_at__lt=timezone.now())


class MovingTag(models.Model):
    """A tag of an image. `build` is where it shall be, `pushed_build` where the registry has it.

    No tag is ever removed: the documented permissions have none for it.
    """

    image = models.ForeignKey(ManagedImage, models.CASCADE, related_name="moving_tags")
    name = models.CharField(max_length=31)
    build = models.ForeignKey(Build, models.CASCADE, related_name="+")
    pushed_build = models.ForeignKey(Build, models.CASCADE, null=True, blank=True, related_name="+")
    # Why the registry does not have it yet, as a sentence.
    error = models.TextField(blank=True)
    set_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    set_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(default=next_wake)

    objects = MovingTagQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["image", "name"], name="moving_tag_is_there_once")
        ]
        indexes = [models.Index(fields=["set_at"], condition=BEHIND, name="moving_tag_behind")]

    def __str__(self) -> str:
        return f"{self.image}:{self.name}"

    @property
    def is_pushed(self) -> bool:
        return self.pushed_build_id == self.build_id
