"""The names of all images, kept in the registry itself: what a restored database no longer knows is found.

No documented action lists repositories. So each name is entered, as a tag, in one of sixteen repositories
`<prefix>/instance/names-<hex digit>`, when an image of it is built for the first time; the registry server
reads these by ListImages. An entry stays when its image is removed: it says where to look, not what is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db.models import Exists, OuterRef, Q, QuerySet

from images.building.push.referrers import EMPTY, empty_artifact, push_file
from images.errors import RegistryNotFound, RepositoryMissing
from images.models import (
    BaseImage,
    Build,
    FindingCode,
    ImageType,
    ManagedImage,
    PythonVersion,
    UnknownRepository,
)
from images.models.managed_image import is_valid_name
from images.registry import naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST
from images.registry.ecr.repositories import ImageDetail, RepositoryControl
from images.verification.findings import Finding
from images.verification.pace import Pace
from workspaces.models import AuditEvent

# One repository of ECR holds 100,000 images by default, and names are never taken out.
DIGITS = "0123456789abcdef"
# What a look for repositories goes through: the registers, then the names of base images' repositories.
BASES = "bases"
PLACES = (*DIGITS, BASES)
ARTIFACT_TYPE = "application/vnd.ri-platform.image-name.v1"
ANNOTATION = "ri-platform.image.name"
# Names of removed images, of before names were entered, that are looked at, the newest first.
REMEMBERED = 10_000


@dataclass(frozen=True)
class Unknown:
    """A repository that no record knows; `name` is without the prefix."""

    name: str
    tags: tuple[str, ...]
    size_bytes: int
    pushed_at: datetime | None

    @property
    def finding(self) -> Finding:
        what = f"with {len(self.tags)} tags in it" if self.tags else "with nothing in it"
        said = f"The registry has a repository {self.name} {what} that no record knows."
        return Finding(FindingCode.REPOSITORY_UNKNOWN, self.name, said)


def register_of(prefix: str, digit: str) -> str:
    return naming.guard(prefix, f"{prefix}/{naming.INSTANCE}/names-{digit}")


def register_for(prefix: str, name: str) -> str:
    """The repository in which an image's name is entered."""
    return register_of(prefix, hashlib.sha256(name.encode()).hexdigest()[0])


def entry(name: str) -> bytes:
    return empty_artifact(ARTIFACT_TYPE, {ANNOTATION: name})


# --- build jobs -------------------------------------------------------------------------------------------


def enter(client: RegistryClient, prefix: str, name: str, work: Path) -> None:
    """Enter a name, unless it is there. Raises `RepositoryMissing` until the register is made."""
    repository = register_for(prefix, name)
    try:
        client.get_manifest(repository, name)
    except RepositoryMissing:
        raise
    except RegistryNotFound:
        pass
    else:
        return
    empty = work / "empty.json"
    empty.write_bytes(b"{}")
    push_file(client, repository, EMPTY, "empty configuration", empty, work, lambda: None)
    client.put_manifest(repository, name, entry(name), OCI_MANIFEST)


# --- registry server --------------------------------------------------------------------------------------


def make_registers(control: RepositoryControl, prefix: str) -> None:
    for digit in DIGITS:
        make_register(control, prefix, digit)


def make_register(control: RepositoryControl, prefix: str, digit: str) -> bool:
    """Make sure that a register is there; whether it was made just now."""
    return control.create_repository(register_of(prefix, digit), ours=True)


def unknown_repositories(
    control: RepositoryControl, prefix: str, *, pace: Pace
) -> Iterator[Unknown]:
    """Every repository under the prefix, of a name that is known anyhow, that has no row."""
    for place in PLACES:
        if place == BASES:
            wanted = base_candidates(prefix)
        else:
            entered = entered_names(control, prefix, place, pace)
            wanted = candidates(prefix, place, entered or ())
        for name in wanted:
            pace.wait()
            found = look_for(control, prefix, name)
            if found is not None:
                yield found


def standing_at(prefix: str, digit: str, found: Iterable[str]) -> set[str]:
    """Those of the names that stand in one register, as far as they are names."""
    register = register_of(prefix, digit)
    return {
        name for name in found if is_valid_name(name) and register_for(prefix, name) == register
    }


def candidates(prefix: str, digit: str, found: Iterable[str]) -> list[str]:
    """The names of one register that may have a repository without a row, sorted.

    Those that an earlier look found are among them, whoever told it of them.
    """
    open_ones = UnknownRepository.objects.open().values_list("name", flat=True)
    mine = standing_at(prefix, digit, {*found, *audited_names(), *open_ones})
    known = at_home().filter(name__in=mine).values_list("name", flat=True)
    return sorted(mine.difference(known))


def base_candidates(prefix: str) -> list[str]:
    """The same of base images' repositories."""
    known = set(BaseImage.objects.values_list("repository", flat=True))
    bases = (
        naming.base_repository(prefix, image_type, version)
        for version in PythonVersion.values
        for image_type in ImageType.values
    )
    return sorted(base.removeprefix(f"{prefix}/") for base in bases if base not in known)


def look_for(control: RepositoryControl, prefix: str, name: str) -> Unknown | None:
    """The repository of this name without the prefix, if it is there and no record knows it."""
    try:
        images = control.describe_images(f"{prefix}/{name}")
    except RegistryNotFound:
        return None
    # Its image may have been created since the names were read.
    if at_home().filter(name=name).exists():
        return None
    if images or not ManagedImage.objects.filter(name=name).exists():
        return unknown(name, images)
    return None


def at_home() -> QuerySet[ManagedImage]:
    """The images whose repository is theirs, or may become so just now.

    One whose first build ended after a backup is not among them: its repository has images of no record, so
    it could not be made its own.
    """
    stranded = Q(repository_ready_at=None, removed_at=None) & ~Q(
        Exists(Build.objects.active().filter(image=OuterRef("pk")))
    )
    return ManagedImage.objects.exclude(stranded)


def unknown(name: str, images: Sequence[ImageDetail]) -> Unknown:
    tags = sorted(tag for image in images for tag in image.tags)
    pushed = [image.pushed_at for image in images if image.pushed_at]
    size = sum(image.size_bytes for image in images)
    return Unknown(name, tuple(tags), size, max(pushed, default=None))


def entered_names(
    control: RepositoryControl, prefix: str, digit: str, pace: Pace
) -> set[str] | None:
    """The names in a register, as far as they are names: tags are what anybody may have pushed.

    None if the register is not there.
    """
    pace.wait()
    try:
        found = control.list_images(register_of(prefix, digit))
    except RegistryNotFound:
        return None
    return standing_at(prefix, digit, (item.tag for item in found if item.tag))


def audited_names() -> set[str]:
    """Names that images had by the audit log: what deleting a repository left behind is among them."""
    found = AuditEvent.objects.filter(
        object_type=ManagedImage.audit_type, event__in=("image.created", "image.deleted")
    )
    return set(
        filter(
            is_valid_name, found.order_by("-pk").values_list("object_name", flat=True)[:REMEMBERED]
        )
    )
