"""Repositories whose upkeep fails, as long as it does: AWS refuses a policy, a listing or a deletion."""

from __future__ import annotations

from django.db import models

from images.models.managed_image import ManagedImage


class RefusedRepository(models.Model):
    """A repository that could not be kept up when it was last tried: with the error, and since when.

    `repository` is its whole name. `image` is its managed image, which may be removed and its repository due
    to be deleted; base images and lists of names have none. The row goes when an attempt succeeds.
    """

    repository = models.CharField(max_length=256, unique=True)
    image = models.OneToOneField(
        ManagedImage, models.CASCADE, null=True, blank=True, related_name="refusal"
    )
    since = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    tried_at = models.DateTimeField()
    # Of a repository with an image, its `repository_due_at` decides; this tells it to people.
    due_at = models.DateTimeField(db_index=True)
    error_code = models.CharField(max_length=64)
    error_message = models.TextField()
    error_hint = models.TextField(blank=True)

    class Meta:
        ordering = ["since", "pk"]
        verbose_name_plural = "refused repositories"

    def __str__(self) -> str:
        return self.repository

    @property
    def reason(self) -> str:
        """AWS's words, and what is to be done, such as the action to allow."""
        return f"{self.error_message} {self.error_hint}".strip()
