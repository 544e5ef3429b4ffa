"""One build: resolve, bring the layers into the repository, assemble, push, verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from django.conf import settings

from images.attestations import (
    CYCLONEDX,
    IN_TOTO,
    Library,
    facts_of,
    provenance,
    sbom,
)
from images.building.layers import keys, write
from images.building.layers.wheel import BASE_PREFIX
from images.building.locks.files import Lock
from images.building.locks.indexes import refuse_forbidden
from images.building.locks.pylock import parse_lock
from images.building.locks.target import Target
from images.building.pipeline import KeyedLayer, LayerPipeline, PlannedLayer
from images.building.push import blobs as push
from images.building.push import referrers
from images.errors import BuiltWheelGone
from images.indexes import indexes_of
from images.jobs import build_outcome, known_layers, retention
from images.jobs.composition import Composition, compose, compose_for, refuse_conflicts
from images.jobs.image_libraries import image_libraries, wheels_before
from images.jobs.journal import Journal
from images.jobs.layer_plan import can_compile, planned_layers, workshop
from images.jobs.os_layer import OSLayer, OSLayers
from images.jobs.spec_lock import lock_spec, source_builds
from images.models import (
    BaseImage,
    Build,
    BuildPhase,
    BuildReason,
    CachedLayer,
)
from images.models.lease import WorkState
from images.queries.file_requirements import locked_by
from images.registry import connection, naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, Descriptor

ENVIRONMENT_TITLE = "Python environment"


@dataclass(frozen=True)
class Assembled:
    """An image whose blobs are in its repository; `uploaded` is in bytes.

    `confirmed`: the registry has answered for each of them in this build that it is there.
    """

    composition: Composition
    layers: Sequence[KeyedLayer]
    uploaded: int
    confirmed: bool


class ImageBuild:
    """The phases of one attempt; each takes what the former made."""

    def __init__(
        self, build: Build, journal: Journal, check: Callable[[], None], work: Path
    ) -> None:
        self.build = build
        self.base: BaseImage = build.base_image
        self.journal = journal
        self.check = check
        self.work = work
        self.target = Target(python_version=self.base.python_version)
        self.prefix = naming.effective_prefix()
        self.repository = naming.image_repository(self.prefix, build.image.name)
        self.os_layers = OSLayers(
            self.base, build.image_id, self.repository, self.prefix, work, journal, check
        )

        self.sources = source_builds(
            build.spec, self.base, work, log=journal.line, check=check, build=build
        )

    def product(self) -> build_outcome.Product:
        if self.build.reason == BuildReason.RENEW and (before := self.build.image.current_build):
            self.journal.line(before.renewal)
        with self.journal.phase(BuildPhase.RESOLVE):
            lock = self.resolve()
        try:
            return self.product_of(self.with_built_wheels(lock))
        except BuiltWheelGone as gone:
            # Its layer was remembered, turned out lost, and the wheel is not kept either: make both again.
            self.journal.line(f"{gone.message} It is built again.")
            return self.product_of(self.with_built_wheels(lock, anew=True))

    def product_of(self, lock: Lock) -> build_outcome.Product:
        """The image of a lock that has a wheel for each library."""
        with connection.registry_client() as client:
            image = self.assemble(client, lock)
            self.push_manifest(client, image.composition)
            libraries = image_libraries(lock, self.base, self.target)
            with self.journal.phase(BuildPhase.VERIFY):
                size = self.verify(client, image)
                attested = self.attest(client, image, lock, libraries)
        return build_outcome.Product(
            manifest_digest=image.composition.digest,
            config_digest=image.composition.config_descriptor.digest,
            size_bytes=size,
            pushed_bytes=image.uploaded + attested + len(image.composition.manifest),
            libraries=libraries,
            layers=[item.made for item in image.layers],
        )

    def assemble(self, client: RegistryClient, lock: Lock) -> Assembled:
        """The image with all of its blobs in the repository; its manifest is not pushed yet."""
        plan = planned_layers(lock, self.base, self.target)
        os_layers = OSLayer.of(self.build.spec, self.base)
        known = {
            **known_layers.layers_by_key([item.key for item in os_layers]),
            **known_layers.wheel_layers_by_key([item.key for item in plan]),
        }
        environment = self.environment()
        unchanged = self.unchanged(client, environment, [*os_layers, *plan], known)
        if unchanged is not None:
            return unchanged
        below = [self.os_layers.bring(client, item, known.get(item.key)) for item in os_layers]
        made, uploaded = self.bring_layers(client, plan, known)
        keyed = [*(item for item, _ in below), environment, *made]
        refuse_conflicts(keyed, self.journal.line)
        composition = compose_for(self.build, keyed, client, self.repository)
        uploaded += sum(sent for _, sent in below)
        uploaded += self.push_rest(client, composition, environment)
        return Assembled(composition, keyed, uploaded, confirmed=True)

    # --- resolve ---------------------------------------------------------------------------------------

    def resolve(self) -> Lock:
        if self.build.lock:
            self.journal.line("Using the lock that this build has already.")
            kept = parse_lock(self.build.lock, self.target, allow_source=self.sources is not None)
            # The lists may have changed since it was resolved.
            refuse_forbidden(kept)
            return kept
        if self.build.spec.is_locked:
            self.journal.line(f"{locked_by(self.build) or 'The requirements'} locks all libraries.")
        lock = lock_spec(
            self.build.spec,
            self.base,
            log=self.journal.line,
            check=self.check,
            sources=self.sources,
        )
        self.build.write(lock=lock.text)
        indexes = indexes_of(lock.text)
        for file in (*lock.wheels, *lock.sources):
            index = indexes.get(file.name, "")
            self.journal.line(f"{file.name} {file.version}{f' from {index}' if index else ''}")
        return lock

    def with_built_wheels(self, lock: Lock, *, anew: bool = False) -> Lock:
        """The lock with a wheel in place of each source distribution."""
        if not lock.sources or self.sources is None:
            return lock
        with self.journal.phase(BuildPhase.SOURCES):
            return self.sources.with_built_wheels(lock, anew=anew, prefer=wheels_before(self.build))

    # --- layers ----------------------------------------------------------------------------------------

    def environment(self) -> KeyedLayer:
        """The environment's own layer. It is so small that making it is quicker than asking for it."""
        interpreter, version = self.base.interpreter, self.target.python_version
        # A base with curated libraries has them in an environment of its own.
        below = [folder for folder in self.base.site_packages if folder.startswith(BASE_PREFIX)]
        layer = write.write_environment_layer(
            interpreter, version, self.work / "environment", below=below
        )
        key = keys.environment_layer_key(interpreter, version, below=below)
        return KeyedLayer(key, ENVIRONMENT_TITLE, layer)

    def unchanged(
        self,
        client: RegistryClient,
        environment: KeyedLayer,
        others: Sequence[PlannedLayer | OSLayer],
        known: Mapping[str, CachedLayer],
    ) -> Assembled | None:
        """The image, if the repository holds just this one already, from an earlier build."""
        if any(item.key not in known for item in others):
            return None
        found = [KeyedLayer.remembered(item.key, item.title, known[item.key]) for item in others]
        below = len([item for item in others if isinstance(item, OSLayer)])
        keyed = [*found[:below], environment, *found[below:]]
        composition = compose(self.base, keyed)
        if composition.digest not in retention.standing(self.build.image).digests:
            return None
        twin = self.build.image.builds.filter(
            state=WorkState.SUCCEEDED, manifest_digest=composition.digest
        ).first()
        if twin is None or client.head_manifest(self.repository, composition.digest) is None:
            return None
        passed = [BuildPhase.OS_PACKAGES] if below else []
        for phase in (*passed, BuildPhase.FETCH, BuildPhase.LAYERS):
            with self.journal.phase(phase):
                pass
        self.journal.begin(BuildPhase.PUSH)
        self.journal.line(
            f"Nothing has changed since build {twin.number}: its manifest is tagged anew."
        )
        return Assembled(composition, keyed, 0, confirmed=False)

    def bring_layers(
        self,
        client: RegistryClient,
        plan: Sequence[PlannedLayer],
        known: Mapping[str, CachedLayer],
    ) -> tuple[list[KeyedLayer], int]:
        """The wheel layers, each in the repository, and the bytes uploaded for them."""
        if not can_compile(self.target):
            self.journal.line(
                f"No Python {self.target.python_version} here to make .pyc files with: "
                "they are left out, and first imports are slower."
            )
        pipeline = LayerPipeline(
            plan=plan,
            remembered=known,
            holders=known_layers.holders(
                {layer.digest for layer in known.values()}, self.prefix, self.build.image_id
            ),
            client=client,
            repository=self.repository,
            workshop=workshop(self.work, self.target),
            journal=self.journal,
            check=self.check,
        )
        return pipeline.run(), pipeline.uploaded

    # --- image -----------------------------------------------------------------------------------------

    def push_rest(
        self, client: RegistryClient, composition: Composition, environment: KeyedLayer
    ) -> int:
        """The base's layers, the environment and the config; returns the bytes uploaded."""
        config_file = self.work / "config.json"
        config_file.write_bytes(composition.config)
        blobs = [
            *(
                push.BlobToPush(item, "base layer", from_repository=self.base.repository)
                for item in self.base_layers
            ),
            push.BlobToPush(environment.descriptor, environment.title, environment.layer.path),
            push.BlobToPush(composition.config_descriptor, "configuration", config_file),
        ]
        return push.push_blobs(
            client,
            self.repository,
            blobs,
            work=self.work,
            check=self.check,
            log=self.journal.line,
        )

    @cached_property
    def base_layers(self) -> list[Descriptor]:
        naming.guard(self.prefix, self.base.repository)
        return [Descriptor.from_json(item) for item in self.base.layers]

    def push_manifest(self, client: RegistryClient, composition: Composition) -> None:
        """Tag the image, which is the last thing that a build does to its repository."""
        self.check()
        push.push_manifest(
            client,
            self.repository,
            self.build.tag,
            composition.manifest,
            OCI_MANIFEST,
            composition.digest,
        )
        self.journal.end(BuildPhase.PUSH)

    def verify(self, client: RegistryClient, image: Assembled) -> int:
        """Read back what the registry holds; returns the image's size in bytes, compressed."""
        # Two wheels may give the same layer, as empty ones do; a blob counts once.
        blobs = {
            blob.digest: blob
            for blob in (
                image.composition.config_descriptor,
                *self.base_layers,
                *(item.descriptor for item in image.layers),
            )
        }
        asked = [] if image.confirmed else list(blobs.values())
        push.verify(client, self.repository, self.build.tag, image.composition.digest, asked)
        self.journal.line(f"The registry holds the manifest and {len(blobs)} blobs.")
        return sum(blob.size for blob in blobs.values())

    def attest(
        self,
        client: RegistryClient,
        image: Assembled,
        lock: Lock,
        libraries: Sequence[Library],
    ) -> int:
        """Push SBOM and provenance as referrers of the image; returns the bytes uploaded."""
        digest = image.composition.digest
        installed = [item.os_packages for item in image.layers if item.os_packages]
        facts = facts_of(
            self.build,
            repository=self.repository,
            digest=digest,
            lock=lock.text,
            libraries=libraries,
            os_packages=installed[0] if installed else self.base.os_packages,
        )
        subject = Descriptor(OCI_MANIFEST, digest, len(image.composition.manifest))
        return referrers.push(
            client,
            self.repository,
            self.build.tag,
            subject,
            {
                "sbom": (CYCLONEDX, sbom(facts)),
                "provenance": (IN_TOTO, provenance(facts, settings.VERSION)),
            },
            self.work,
        )
