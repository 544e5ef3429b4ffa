"""The listing of an image's repository, held against its rows. Runs as the registry server, which may list.

What is found is put right or listed at once: builds of no record are offered to administrators, tags that
were moved by others are pushed again, and so are SBOM and provenance.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F
from django.utils import timezone

from images import wake
from images.models import Attestation, FindingCode, ManagedImage, MovingTag
from images.models.lease import WorkState
from images.operations import unknown_repositories
from images.references import repository_of
from images.registry.ecr.repositories import ImageDetail, RepositoryControl
from images.verification.findings import Finding
from images.verification.listing import displaced_tags, lacks_attestations, newer_builds


@dataclass(frozen=True)
class Listed:
    present: list[ImageDetail]
    findings: list[Finding]


def look(control: RepositoryControl, image: ManagedImage) -> Listed:
    """List an image's repository, and act on what differs. Raises `RegistryError`.

    What shall be there is read before the listing, so what is pushed meanwhile is no difference.
    """
    pushed = MovingTag.objects.filter(image=image, pushed_build=F("build"))
    tags = list(pushed.filter(image__tags_may_move=True).select_related("build"))
    current = Attestation.objects.filter(build=image.current_build_id, state=WorkState.SUCCEEDED)
    attestation = current.select_related("build").first()
    present = control.describe_images(repository_of(image))
    findings = look_for_newer(image, present)
    for tag in displaced_tags(tags, present):
        findings += push_tag_again(tag, present)
    if attestation is not None and lacks_attestations(attestation.build, present):
        findings += write_again(attestation, image)
    return Listed(present, findings)


def look_for_newer(image: ManagedImage, present: list[ImageDetail]) -> list[Finding]:
    numbers = newer_builds(image, present)
    if not unknown_repositories.record_newer_builds(image, numbers):
        return []
    said = f"The registry has build {numbers[-1]} of {image.name}, which no record knows."
    return [Finding(FindingCode.BUILD_UNKNOWN, image.name, said, numbers[-1])]


def push_tag_again(tag: MovingTag, present: list[ImageDetail]) -> list[Finding]:
    same = MovingTag.objects.filter(pk=tag.pk, build=tag.build, pushed_build=tag.build)
    if not same.update(pushed_build=None, error=""):
        return []  # It was moved meanwhile.
    wake.after_commit(wake.Task.MOVE_TAGS, tag.image_id)
    name, number = tag.image.name, tag.build.number
    there = [item.digest for item in present if tag.name in item.tags]
    code = FindingCode.TAG_MOVED if there else FindingCode.TAG_MISSING
    what = f"names {there[0]}" if there else "is not in the registry"
    said = f"The tag {tag.name} of {name} {what}, and is to name its build {number}: it is pushed again."
    return [Finding(code, name, said, number, tag.build.manifest_digest)]


def write_again(attestation: Attestation, image: ManagedImage) -> list[Finding]:
    same = Attestation.objects.filter(pk=attestation.pk, state=WorkState.SUCCEEDED)
    values = {"state": WorkState.QUEUED, "due_at": timezone.now(), "attempts": 0}
    if not same.update(**values, finished_at=None):
        return []
    wake.after_commit(wake.Task.WRITE_ATTESTATION, attestation.pk)
    number = attestation.build.number
    said = f"SBOM or provenance of build {number} of {image.name} is gone: both are written again."
    return [Finding(FindingCode.TAG_MISSING, image.name, said, number)]
