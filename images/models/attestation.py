"""The writing of a build's SBOM and provenance into the registry, which follows once its image is ready."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from images.models.build import Build
from images.models.lease import Lease, LeaseQuerySet, WorkState, lease_constraints


class AttestationQuerySet(LeaseQuerySet["Attestation"]):
    def writable(self) -> AttestationQuerySet:
        """Those that a worker may write: of images that are there."""
        return self.claimable().filter(build__image__removed_at=None)


class Attestation(Lease):
    """SBOM and provenance of one build, made in the transaction that made its image ready, so none is
    forgotten.

    Both are functions of the build's rows (`images.attestations`); this row says whether the registry has
    them.
    """

    build = models.OneToOneField(Build, models.CASCADE, related_name="attestation")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AttestationQuerySet.as_manager()

    class Meta:
        verbose_name = "attestation"
        constraints = lease_constraints("attestation")
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(state__in=[WorkState.QUEUED, WorkState.RUNNING]),
                name="attestation_due",
            )
        ]

    def __str__(self) -> str:
        return f"SBOM and provenance of {self.build}"

    @property
    def words(self) -> str:
        """What is to be known while the registry does not have them, in a sentence or two; else nothing."""
        if self.state == WorkState.FAILED:
            return f"The registry does not have them: {self.error_message}"
        if not self.is_active:
            return ""
        if self.error_message:
            return (
                f"The registry does not have them yet, and it is tried again: {self.error_message}"
            )
        return "They are being written to the registry."
