"""The mark that tells whose repositories these are, so that two instances never share them.

A repository `<prefix>/instance/mark`, in which no tag moves, holds a manifest of a few bytes for each
instance that wanted it, under the tag `id-<its id>`. The one that also has the tag `instance` owns the
prefix: the registry lets one of them have it. The registry server sees whose it is, build jobs write it
(docs/decisions/0021-instances.md).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from django.conf import settings
from django.utils import timezone

from images import wake
from images.building.cache import work_folder
from images.building.push.referrers import EMPTY, empty_artifact, push_file
from images.errors import RegistryNotFound, TagTaken
from images.jobs import sweep
from images.models import BaseImage, Build, ImageType, Instance, ManagedImage, PythonVersion
from images.models.instance import UNMARKED, MarkState
from images.models.lease import WorkState
from images.registry import connection, naming
from images.registry.distribution.descriptors import OCI_MANIFEST
from images.registry.ecr.repositories import ImageDetail, RepositoryControl
from images.verification import names
from ri_platform.locks import exclusive

log = logging.getLogger(__name__)

OWNER = "instance"
ARTIFACT_TYPE = "application/vnd.ri-platform.instance.v1"
ANNOTATION = "ri-platform.instance.id"
_ID_TAG = re.compile(r"id-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def id_tag(instance: Instance) -> str:
    return f"id-{instance.instance_id}"


# --- registry server --------------------------------------------------------------------------------------


def look() -> None:
    """See whose mark there is, and have ours written where there is none. Runs as the registry server.

    Raises `AnotherInstance` if the repositories are another's or this database a copy, and what AWS refuses.
    """
    with exclusive("instance-mark", 0):
        instance = Instance.objects.this()
        if instance.state == MarkState.COPY:
            raise instance.refusal
        before = instance.state
        observe(instance, connection.control())
        if instance.may_act and before != MarkState.OURS:
            names.make_registers(connection.control(), naming.effective_prefix())
    if instance.is_refused:
        raise instance.refusal
    if instance.may_act and before != MarkState.OURS:
        log.info("The repositories under %s/ are this instance's.", naming.effective_prefix())
        wake_all()


def observe(instance: Instance, control: RepositoryControl) -> None:
    repository = naming.mark_repository(naming.effective_prefix())
    owner = owner_in(images_in(control, repository))
    if owner is not None and (owner or UNMARKED) == instance.adopting:
        log.warning("The repositories of the instance %s are adopted.", instance.adopting)
        control.delete_repository(repository)
        owner = None
    if owner == str(instance.instance_id):
        instance.saw(MarkState.OURS)
    elif owner is not None:
        instance.saw(MarkState.FOREIGN, owner)
    elif not knows_any(instance) and unknown_base_images(control):
        instance.saw(MarkState.FOREIGN)
    else:
        control.create_repository(repository, ours=True)
        # A mark that was ours and is gone is written again, and nothing waits for it.
        instance.saw(MarkState.OURS if instance.may_act else MarkState.FREE)
        wake.send(wake.Task.WRITE_MARK, instance.pk)


def images_in(control: RepositoryControl, repository: str) -> list[ImageDetail]:
    try:
        return control.describe_images(repository)
    except RegistryNotFound:
        return []


def owner_in(images: Sequence[ImageDetail]) -> str | None:
    """The id of the instance whose mark it is; None if there is no mark, empty if it names nobody."""
    marked = next((image for image in images if OWNER in image.tags), None)
    if marked is None:
        return None
    found = map(_ID_TAG.fullmatch, marked.tags)
    return next((match[1] for match in found if match), "")


def knows_any(instance: Instance) -> bool:
    """Whether our records have base images here, or an operator has said that what is here is ours."""
    bases = BaseImage.objects.filter(repository__startswith=f"{naming.effective_prefix()}/")
    return (
        instance.may_act
        or instance.adopting != ""
        or bases.filter(repository_ready_at__isnull=False).exists()
    )


def unknown_base_images(control: RepositoryControl) -> bool:
    """Whether an instance has been here before there were marks: each has base images.

    No documented action lists repositories, but the names of these are few.
    """
    prefix = naming.effective_prefix()
    return any(
        images_in(control, naming.base_repository(prefix, image_type, version))
        for version in PythonVersion.values
        for image_type in ImageType.values
    )


def wake_all() -> None:
    """Send what had to wait until the mark was ours, without its turn in the sweeper."""
    now = timezone.now()
    BaseImage.objects.claimable().update(due_at=now)
    Build.objects.claimable().update(due_at=now)
    waiting = Build.objects.filter(state=WorkState.QUEUED).values("image")
    ManagedImage.objects.filter(repository_ready_at__isnull=True, pk__in=waiting).update(
        repository_due_at=now
    )
    sweep.sweep()


# --- build jobs -------------------------------------------------------------------------------------------


def write() -> None:
    """Put our mark where the registry server found none; another's stays. Runs as the build jobs.

    The tag `instance` comes last, so whoever has it is always named by the other tag.
    """
    with exclusive("instance-mark-written", 0):
        instance = Instance.objects.this()
        if instance.state not in (MarkState.FREE, MarkState.OURS):
            return
        repository = naming.mark_repository(naming.effective_prefix())
        manifest = mark_manifest(instance)
        with (
            connection.registry_client() as client,
            work_folder(settings.CACHE_DIR, "mark") as work,
        ):
            empty = work / "empty.json"
            empty.write_bytes(b"{}")
            push_file(client, repository, EMPTY, "empty configuration", empty, work, lambda: None)
            client.put_manifest(repository, id_tag(instance), manifest, OCI_MANIFEST)
            try:
                client.put_manifest(repository, OWNER, manifest, OCI_MANIFEST)
            except TagTaken:
                log.warning("Another instance was quicker to mark the repositories.")
    wake.send(wake.Task.SEE_MARK, instance.pk)


def mark_manifest(instance: Instance) -> bytes:
    return empty_artifact(ARTIFACT_TYPE, {ANNOTATION: str(instance.instance_id)})
