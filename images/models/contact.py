"""The last contact of each of the two AWS identities with the registry, and its error if it failed."""

from __future__ import annotations

from django.db import models


class Identity(models.TextChoices):
    """The document's two identities, by the queue whose workers have them."""

    REGISTRY_SERVER = "registry", "Registry server"
    BUILD_JOBS = "builds", "Build jobs"


class AwsContact(models.Model):
    """One row an identity. `problem` is a sentence, empty if the last attempt succeeded."""

    identity = models.CharField(max_length=16, choices=Identity.choices, unique=True)
    tried_at = models.DateTimeField()
    succeeded_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.get_identity_display()

    @property
    def is_working(self) -> bool:
        """Whether its last attempt succeeded; False for a row of an identity that was never tried."""
        return bool(self.tried_at) and not self.problem
