"""SBOM and provenance of a build, pushed as referrers of its image once that is ready.

Nobody waits for them, so they stand behind the builds that wait, and those of upgrades behind all upgrades.
What fails is tried again with growing pauses until it is written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from images.attestations import CYCLONEDX, IN_TOTO, BuildFacts, provenance, recorded_facts, sbom
from images.building.cache import work_folder
from images.building.push import referrers
from images.errors import BuildError, WorkerDied
from images.jobs.leased import carry_out
from images.jobs.putting import putting
from images.models import Attestation, Build
from images.models.attestation import AttestationQuerySet
from images.models.build import OF_THE_PLATFORM
from images.models.lease import WorkState, end_columns, error_columns
from images.queries.kept_builds import kept_builds
from images.references import repository_of
from images.registry import connection
from images.registry.distribution.descriptors import OCI_MANIFEST, Descriptor
from ri_platform.errors import DomainError

logger = logging.getLogger(__name__)

# Before a further attempt: twice as long each time, up to an hour.
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 3600.0


def due() -> AttestationQuerySet:
    """What the sweeper has written, longest due first; of upgrades once none is under way any more."""
    found = Attestation.objects.writable().due().order_by("due_at")
    if Build.objects.active().of_the_platform().exists():
        return found.exclude(build__reason__in=OF_THE_PLATFORM)
    return found


def write(attestation_id: int) -> None:
    """Claim the attestation of a build and bring it to its end, if there is something to claim."""
    attestation = Attestation.objects.writable().claim(attestation_id, settings.BUILD_LEASE_SECONDS)
    if attestation is None:
        return
    carry_out(
        attestation,
        settings.BUILD_LEASE_SECONDS,
        lambda holder: attempt(attestation, holder.check),
        fail=lambda error: put_off(attestation, error),
        broke=BuildError(
            "Writing SBOM and provenance broke on the platform's side; its operators' log says where.",
            hint="It is tried again by itself.",
        ),
    )


def attempt(attestation: Attestation, check: Callable[[], None]) -> None:
    """Push both and record it. Raises the registry's errors."""
    build = attestation.build
    if not kept_builds(build.image).filter(pk=build.pk).exists():
        # The registry lets go of its image, and what refers to nothing helps nobody.
        attestation.write(**end_columns(WorkState.CANCELLED))
        return
    uploaded = push_attestations(build, check, attestation.confirm)
    attestation.succeed()
    Build.objects.filter(pk=build.pk).update(pushed_bytes=F("pushed_bytes") + uploaded)


def push_attestations(build: Build, check: Callable[[], None], confirm: Callable[[], None]) -> int:
    """Push SBOM and provenance beside the image of a build that succeeded; returns the bytes uploaded."""
    repository = repository_of(build.image)
    facts = recorded_facts(build, repository)
    waits = build.reason in OF_THE_PLATFORM
    with (
        work_folder(settings.CACHE_DIR, f"attestation-{build.pk}") as work,
        connection.registry_client() as client,
    ):
        size = len(client.get_manifest(repository, build.manifest_digest).raw)
        subject = Descriptor(OCI_MANIFEST, build.manifest_digest, size)
        return referrers.push(
            client, repository, build.tag, subject, artifacts_of(facts), work, check=check,
            putting=lambda: putting(build.image_id, check, confirm, waits=waits),
        )  # fmt: skip


def artifacts_of(facts: BuildFacts) -> dict[str, tuple[str, bytes]]:
    """Name → media type and content."""
    return {
        "sbom": (CYCLONEDX, sbom(facts)),
        "provenance": (IN_TOTO, provenance(facts, settings.VERSION)),
    }


def put_off(attestation: Attestation, error: DomainError) -> None:
    """Have what failed tried again after a pause; the image's page tells why it is not there yet.

    What ends its workers is given up.
    """
    logger.warning("%s cannot be written: %s", attestation, error)
    if isinstance(error, WorkerDied):
        attestation.fail(error)
        return
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attestation.attempts, 10))
    attestation.put_back(timezone.now() + timedelta(seconds=pause), **error_columns(error))
