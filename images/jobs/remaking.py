"""An image made once more, with the digest that it had: from what is kept, mounted, or built of its lock.

Its manifest is kept as it was pushed. A blob that the repository lacks is mounted from another image that has
it, else taken from this machine's cache, else made of the lock: layers depend on nothing but their inputs.
Only what has the recorded digest is pushed under the build's tag. Where a blob had other content, each is
read, before and after: a registry that is asked whether it has such a blob says yes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings

from images.attestations import CYCLONEDX, IN_TOTO, provenance, recorded_facts, sbom
from images.building.cache import caches
from images.building.locks.pylock import parse_lock
from images.building.pipeline import KeyedLayer
from images.building.push import blobs as push
from images.building.push import referrers
from images.building.workshop import name_of
from images.errors import CannotBeMadeAgain, DigestMismatch, RegistryNotFound, RepositoryMissing
from images.jobs import known_layers, put_pace
from images.jobs.composition import BUILD_ANNOTATION, Composition, compose
from images.jobs.image_build import ENVIRONMENT_TITLE, ImageBuild
from images.jobs.journal import Journal
from images.jobs.layer_plan import planned_layers
from images.jobs.os_layer import OSLayer
from images.jobs.putting import putting
from images.models import BaseImage, Build, CachedLayer, Drift, KeptManifest
from images.references import repository_of
from images.registry import connection, naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import (
    OCI_CONFIG,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
    hex_of,
)
from images.verification.contents import layers_and_config

OTHERS = 5
REBUILD = "Rebuild it: that makes a new image of the same requirements."


@dataclass
class Bringing:
    """Blobs on their way into one repository; `check` may raise.

    `reads`: a blob is there if its content is what its digest says. Nothing is mounted then, since that would
    bring a broken blob as well as a whole one.
    """

    client: RegistryClient
    repository: str
    work: Path
    check: Callable[[], None]
    journal: Journal
    reads: bool = False

    def refuse_without_repository(self, digest: str) -> None:
        """Raises `RepositoryMissing`: a blob that is refused for that would seem to be nobody's."""
        try:
            self.client.get_manifest(self.repository, digest)
        except RepositoryMissing:
            raise
        except (RegistryNotFound, DigestMismatch):
            pass

    def missing(self, wanted: Iterable[Descriptor]) -> list[Descriptor]:
        unique = {blob.digest: blob for blob in wanted}.values()
        found = []
        for blob in unique:
            self.check()
            if not self.has(blob):
                found.append(blob)
        return found

    def has(self, blob: Descriptor) -> bool:
        if not self.reads:
            return self.client.has_blob(self.repository, blob.digest, check=self.check)
        try:
            for _ in self.client.open_blob(self.repository, blob, check=self.check):
                pass
        except (RegistryNotFound, DigestMismatch):
            return False
        return True

    def confirm(self, brought: Iterable[Descriptor]) -> None:
        """Read what was brought, if blobs are read. Raises `CannotBeMadeAgain` for what is still broken."""
        if self.reads and (broken := self.missing(brought)):
            raise CannotBeMadeAgain(
                f"The registry keeps other content under the digest {broken[0].digest}, though the blob was "
                "pushed again.",
                hint="Have AWS Support look at it, or remove the image, which deletes its repository, and "
                "create it anew.",
            )

    def bring(self, blob: Descriptor, holders: Iterable[str], file: Path | None = None) -> bool:
        """Bring a blob from the first of these repositories that has it, or from a file of its content."""
        for holder in holders:
            self.check()
            if self._push(push.BlobToPush(blob, blob.digest, from_repository=holder)):
                return True
        return file is not None and self._push(push.BlobToPush(blob, blob.digest, source=file))

    def _push(self, blob: push.BlobToPush) -> bool:
        way = push.upload_blob if self.reads else push.push_blob
        try:
            pushed = way(self.client, self.repository, blob, self.work, self.check)
        except DigestMismatch as error:
            # What another repository has is broken, too.
            self.journal.line(str(error))
            return False
        if pushed is not None:
            self.journal.line(pushed.line)
        return pushed is not None


def kept_composition(row: Build | BaseImage, digest: str) -> Composition | None:
    """What was kept of a row's manifest, if it is that of the digest."""
    column = "build" if isinstance(row, Build) else "base_image"
    kept = KeptManifest.objects.filter(**{column: row}).first()
    if kept is None:
        return None
    found = Composition(kept.config, kept.manifest)
    return found if found.digest == digest else None


# --- a build ----------------------------------------------------------------------------------------------


def push_build_again(
    drift: Drift, journal: Journal, check: Callable[[], None], work: Path, held: ExitStack
) -> None:
    """Push what the registry lacks of a build that succeeded.

    Raises `CannotBeMadeAgain`, other errors of builds and of the registry, and what `check` raises.
    """
    build = drift.build
    assert build is not None
    turn = partial(putting, build.image_id, check, drift.confirm)
    composition = kept_composition(build, build.manifest_digest) or composition_of(build)
    repository = repository_of(build.image)
    manifest = Manifest(composition.manifest, OCI_MANIFEST, composition.digest)
    config, *layers = layers_and_config(manifest)
    with connection.registry_client() as client:
        bringing = Bringing(client, repository, work, check, journal, drift.is_of_content)
        bringing.refuse_without_repository(manifest.digest)
        lost = bringing.missing([config, *layers])
        journal.line(f"The registry lacks {len(lost)} of {len(layers) + 1} blobs.")
        unknown = [blob for blob in lost if not bring_known(bringing, build, blob, composition)]
        if unknown:
            make_again(bringing, build, unknown, held)
        bringing.confirm(lost)
        with turn():
            client.put_manifest(repository, build.tag, manifest.raw, OCI_MANIFEST)
        push.verify(client, repository, build.tag, manifest.digest, [config, *layers])
        journal.line(f"The registry holds {manifest.digest} again.")
        push_missing_attestations(client, build, manifest, work, turn, check)


def composition_of(build: Build) -> Composition:
    """The manifest composed of the records, for builds of before it was kept. Raises `CannotBeMadeAgain`."""
    rows = build.layers.select_related("layer").order_by("position")
    keyed = [KeyedLayer.from_registry(use.layer.key, use.layer.title, use.layer) for use in rows]
    for more in ({}, {BUILD_ANNOTATION: build.tag}):
        found = compose(build, keyed, more)
        if found.digest == build.manifest_digest:
            return found
    raise CannotBeMadeAgain(
        f"The manifest {build.manifest_digest} was not kept, and settings or the platform's version have "
        "changed since: composed today, it has another digest.",
        hint=REBUILD,
    )


def bring_known(
    bringing: Bringing, build: Build, blob: Descriptor, composition: Composition
) -> bool:
    """Bring a blob that is somewhere: in what was kept, in other repositories, or on this machine."""
    file = bringing.work / hex_of(blob.digest)
    if blob.digest == composition.config_descriptor.digest:
        file.write_bytes(composition.config)
        return bringing.bring(blob, (), file)
    there = caches().layers.take(name_of(blob.digest), file)
    prefix = naming.effective_prefix()
    holders = [
        *([build.base_image.repository] if blob.digest in base_digests(build.base_image) else []),
        *known_layers.other_holders(blob.digest, prefix, build.image_id, OTHERS),
    ]
    return bringing.bring(blob, holders, file if there else None)


def base_digests(base: BaseImage) -> set[str]:
    return {layer["digest"] for layer in base.layers}


def make_again(
    bringing: Bringing, build: Build, lost: Sequence[Descriptor], held: ExitStack
) -> None:
    """Make layers of the lock that nobody has any more. Raises `CannotBeMadeAgain` where they differ."""
    wanted = {blob.digest for blob in lost}
    if gone := wanted & base_digests(build.base_image):
        raise RegistryNotFound(
            f"The base image {build.base_image} has lost {len(gone)} of its layers.",
            hint="It is pushed again first, if that is possible; else import it again.",
        )
    rows = CachedLayer.objects.filter(digest__in=wanted, uses__build=build).distinct()
    recorded = {row.key: row for row in rows.defer(*known_layers.CONTENTS)}
    whole = ImageBuild(build, bringing.journal, bringing.check, bringing.work, held)
    made = {layer.key: layer for layer in made_layers(whole, bringing, recorded)}
    for row in recorded.values():
        now = made.get(row.key)
        if now is None:
            said = f"The layer {row.title} was made by a version of the platform that made it otherwise."
            raise CannotBeMadeAgain(said, hint=REBUILD)
        if now.layer.digest != row.digest:
            said = f"The layer {row.title} was {row.digest}; made today, it is {now.layer.digest}."
            raise CannotBeMadeAgain(said, hint=REBUILD)
        if bringing.reads:
            # Builds send no blob that the registry says it has.
            bringing.bring(now.descriptor, (), now.layer.path)
    if wanted - {row.digest for row in recorded.values()}:
        raise CannotBeMadeAgain("The records do not say how its layers were made.", hint=REBUILD)


def made_layers(
    whole: ImageBuild, bringing: Bringing, recorded: dict[str, CachedLayer]
) -> Iterator[KeyedLayer]:
    """The layers of these keys, made anew and pushed."""
    build, base = whole.build, whole.base
    lock = parse_lock(build.lock, whole.target, allow_source=whole.sources is not None)
    if lock.sources:
        lock = whole.with_built_wheels(lock)
    plan = planned_layers(lock, base, whole.target)
    environment = whole.environment(plan)
    if environment.key in recorded:
        bringing.journal.line(f"Making the layer {ENVIRONMENT_TITLE} again.")
        bringing.bring(environment.descriptor, (), environment.layer.path)
        yield environment
    for item in OSLayer.of(build.spec, base):
        if item.key in recorded:
            bringing.journal.line(f"Making the layer {item.title} again.")
            layer, _ = whole.os_layers.bring(bringing.client, item, None)
            yield layer
    lacking = [item for item in plan if item.key in recorded]
    if lacking:
        bringing.journal.line(f"Making {len(lacking)} layers of the lock again.")
        layers, _ = whole.bring_layers(bringing.client, lacking, {}, environment)
        yield from layers


def push_missing_attestations(
    client: RegistryClient,
    build: Build,
    manifest: Manifest,
    work: Path,
    turn: Callable[[], AbstractContextManager[None]],
    check: Callable[[], None],
) -> None:
    """Push SBOM and provenance, of what is recorded, where their tags are gone."""
    repository = repository_of(build.image)
    facts = recorded_facts(build, repository)
    artifacts = {
        "sbom": (CYCLONEDX, sbom(facts)),
        "provenance": (IN_TOTO, provenance(facts, settings.VERSION)),
    }
    lacking = {
        name: artifact
        for name, artifact in artifacts.items()
        if client.head_manifest(repository, f"{build.tag}-{name}") is None
    }
    if lacking:
        subject = Descriptor(OCI_MANIFEST, manifest.digest, len(manifest.raw))
        referrers.push(
            client, repository, build.tag, subject, lacking, work, check=check, putting=turn
        )


# --- a base image -----------------------------------------------------------------------------------------


def push_base_again(drift: Drift, journal: Journal, check: Callable[[], None], work: Path) -> None:
    """Push a base image again: its layers are those of the images on it. Raises `CannotBeMadeAgain`."""
    base = drift.base_image
    assert base is not None
    naming.guard(naming.effective_prefix(), base.repository)
    with connection.registry_client() as client:
        bringing = Bringing(client, base.repository, work, check, journal, drift.is_of_content)
        bringing.refuse_without_repository(base.manifest_digest)
        manifest = base_manifest(client, base)
        config, *layers = layers_and_config(manifest)
        kept = kept_composition(base, base.manifest_digest)
        holders = images_on(base)
        lost = bringing.missing([config, *layers])
        for blob in lost:
            file = None
            if kept is not None and digest_of(kept.config) == blob.digest:
                file = work / "config.json"
                file.write_bytes(kept.config)
            if not bringing.bring(blob, () if blob.digest == config.digest else holders, file):
                what = "configuration" if blob.media_type == OCI_CONFIG else "layer"
                raise lost_base(base, f"Nobody has its {what} {blob.digest} any more.")
        bringing.confirm(lost)
        check()
        put_pace.take(check, waits=False)
        client.put_manifest(base.repository, base.tag, manifest.raw, manifest.media_type)
        push.verify(client, base.repository, base.tag, manifest.digest, [config, *layers])


def base_manifest(client: RegistryClient, base: BaseImage) -> Manifest:
    """The manifest as it was kept, else as the registry still has it by its digest."""
    kept = kept_composition(base, base.manifest_digest)
    if kept is not None:
        found = Manifest(kept.manifest, "", kept.digest)
        return Manifest(found.raw, found.own_media_type, found.digest)
    try:
        return client.get_manifest(base.repository, base.manifest_digest)
    except RegistryNotFound as error:
        raise lost_base(base, f"Its manifest {base.manifest_digest} was not kept.") from error


def images_on(base: BaseImage) -> list[str]:
    """Some repositories of images that stand on the base, and so have its layers; the latest built first."""
    builds = Build.objects.revisions().filter(base_image=base, image__removed_at__isnull=True)
    names = builds.order_by("-pk").values_list("image__name", flat=True)[: OTHERS * 4]
    prefix = naming.effective_prefix()
    return [naming.image_repository(prefix, name) for name in dict.fromkeys(names)][:OTHERS]


def lost_base(base: BaseImage, said: str) -> CannotBeMadeAgain:
    return CannotBeMadeAgain(
        f"The base image {base} cannot be pushed again. {said}",
        hint="Import it again under another version (manage.py import_base_image); its images are upgraded.",
    )
