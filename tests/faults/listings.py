"""What the registry lists, held against the rows: repositories, and the tags in them.

The platform's own look at an image's repository (`images.jobs.repository_look`) is part of it. The rest is
stricter: the local AWS tells of all repositories there are, and of any tag somebody must be able to say why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from images.errors import RepositoryMissing
from images.jobs import repository_look
from images.models import BaseImage, FindingCode, ManagedImage, MovingTag
from images.references import effective_prefix, repository_of
from images.registry import naming, tags
from images.registry.ecr.repositories import ImageDetail
from images.verification import names
from images.verification.findings import Finding
from images.verification.listing import unknown_tags
from tests.local_aws import LocalAWS


def findings(aws: LocalAWS) -> list[Finding]:
    """All that is listed and that no row accounts for. It finds what it looks for when nothing is active."""
    found = [item for image in ManagedImage.objects.order_by("pk") for item in of_image(aws, image)]
    return [*found, *of_bases(aws), *of_no_row(aws)]


def of_image(aws: LocalAWS, image: ManagedImage) -> Iterator[Finding]:
    """What the repository of one image has beside its rows; one that is gone is found by its builds."""
    control = aws.control("registry-server")
    with suppress(RepositoryMissing):
        if image.removed_at is None and image.repository_ready_at is not None:
            listed = repository_look.look(control, image)
            yield from listed.findings
            present: Sequence[ImageDetail] = listed.present
        else:
            present = control.describe_images(repository_of(image))
        for tag in unknown_tags(image, present):
            yield unknown_tag(tag, image.name)
        known = set(MovingTag.objects.filter(image=image).values_list("name", flat=True))
        for tag in sorted(tag for item in present for tag in item.tags):
            if tags.build_number(tag) is None and tag not in known:
                said = f"The tag {tag} of {image.name} is in the registry, and no owner pointed it."
                yield Finding(FindingCode.TAG_MOVED, image.name, said)


def of_bases(aws: LocalAWS) -> Iterator[Finding]:
    """Tags in the repositories of base images that no import has made."""
    known = set(BaseImage.objects.values_list("repository", "platform_version"))
    for repository in sorted({repository for repository, _ in known}):
        with suppress(RepositoryMissing):
            for item in aws.control("registry-server").describe_images(repository):
                for tag in item.tags:
                    if (repository, tag) not in known:
                        yield unknown_tag(tag, repository)


def of_no_row(aws: LocalAWS) -> Iterator[Finding]:
    """Repositories under the prefix that are neither an image's, nor a base image's, nor the instance's."""
    prefix = effective_prefix()
    known = {
        *map(repository_of, ManagedImage.objects.all()),
        *BaseImage.objects.values_list("repository", flat=True),
        *(names.register_of(prefix, digit) for digit in names.DIGITS),
        naming.mark_repository(prefix),
    }
    for repository in sorted(set(aws.names_of_repositories()) - known):
        name = repository.removeprefix(f"{prefix}/")
        present = aws.control("registry-server").describe_images(repository)
        yield names.unknown(name, present).finding


def unknown_tag(tag: str, subject: str) -> Finding:
    said = f"The registry has {tag} of {subject}, which no record knows."
    return Finding(FindingCode.BUILD_UNKNOWN, subject, said, tags.build_number(tag))
