"""One build: resolve, bring the layers into the repository, assemble, push, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from images.building.layers import keys, write
from images.building.layers.notes import Note
from images.building.layers.wheel import BASE_PREFIX
from images.building.locks.annotations import yank_notes
from images.building.locks.files import Lock
from images.building.locks.indexes import refuse_forbidden
from images.building.locks.pylock import parse_lock
from images.building.locks.target import Target
from images.building.pipeline import KeyedLayer, LayerPipeline, PlannedLayer
from images.building.push import blobs as push
from images.errors import BuiltWheelGone
from images.indexes import indexes_of
from images.jobs import (
    build_outcome,
    import_check,
    known_layers,
    native_libraries,
    repositories,
    retention,
)
from images.jobs.composition import (
    AssembledImage,
    Composition,
    arrange_layers,
    compose,
    compose_for,
    user_of_images,
)
from images.jobs.image_libraries import image_libraries, wheels_before
from images.jobs.journal import Journal
from images.jobs.layer_plan import can_compile, planned_layers, workshop
from images.jobs.os_layer import OSLayer, OSLayers
from images.jobs.putting import putting
from images.jobs.spec_lock import TAKEN, lock_spec, source_builds
from images.models import (
    BaseImage,
    Build,
    BuildPhase,
    BuildReason,
    CachedLayer,
    ImportPolicy,
)
from images.models.build import OF_THE_PLATFORM
from images.models.lease import WorkState
from images.queries.file_requirements import locked_by
from images.queries.import_checks import policy_of
from images.registry import connection, naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, Descriptor

ENVIRONMENT_TITLE = "Python environment"


class ImageBuild:
    """The phases of one attempt; each takes what the former made. `held` is closed when it has ended."""

    def __init__(
        self,
        build: Build,
        journal: Journal,
        check: Callable[[], None],
        work: Path,
        held: ExitStack,
    ) -> None:
        self.build = build
        self.base: BaseImage = build.base_image
        self.journal = journal
        self.check = check
        self.work = work
        self.target = Target(self.base.python_version, self.base.platform)
        self.prefix = naming.effective_prefix()
        self.repository = naming.image_repository(self.prefix, build.image.name)
        self.os_layers = OSLayers(
            self.base, build.image_id, self.repository, self.prefix, work, journal, check
        )

        # What was told of libraries in this build.
        self.notes: list[Note] = []
        self.sources = source_builds(
            build.spec, self.base, work, held, log=journal.line, check=check, build=build
        )

    def product(self) -> build_outcome.Product:
        if self.build.reason == BuildReason.RENEW and (before := self.build.image.current_build):
            self.journal.line(before.renewal)
        with self.journal.phase(BuildPhase.RESOLVE):
            lock = self.resolve()
            versions = {file.name: file.version for file in (*lock.wheels, *lock.sources)}
            self.tell(yank_notes(lock.text, versions))
        repositories.wait_for(self.build.image, self.check)
        try:
            return self.product_of(self.with_built_wheels(lock))
        except BuiltWheelGone as gone:
            # Its layer was remembered, turned out lost, and the wheel is not kept either: make both again.
            self.journal.line(f"{gone.message} It is built again.")
            return self.product_of(self.with_built_wheels(lock, anew=True))

    def tell(self, notes: Iterable[Note]) -> None:
        """Log what is to be known of libraries, once, and keep it for the list of what is installed."""
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                self.journal.line(note.text)

    def product_of(self, lock: Lock) -> build_outcome.Product:
        """The image of a lock that has a wheel for each library."""
        with connection.registry_client() as client:
            image = self.assemble(client, lock)
            self.correct_foreseen(image.composition.digest)
            missing = native_libraries.missing_in(self.base, image.layers, self.journal.line)
            self.push_manifest(client, image.composition)
            libraries = image_libraries(lock, self.base, self.target, self.notes)
            with self.journal.phase(BuildPhase.VERIFY):
                size = self.verify(client, image)
        if policy_of(self.build.image) == ImportPolicy.REFUSE:
            with self.journal.phase(BuildPhase.IMPORTS):
                layers = [item.descriptor for item in image.layers]
                digest = image.composition.digest
                import_check.refuse_broken(
                    self.build, digest, layers, libraries, self.journal, self.check
                )
        return build_outcome.Product(
            manifest_digest=image.composition.digest,
            config_digest=image.composition.config_descriptor.digest,
            size_bytes=size,
            pushed_bytes=image.uploaded + len(image.composition.manifest),
            libraries=libraries,
            layers=[item.made for item in image.layers],
            missing_libraries=[item for item in missing if not item.is_optional],
            manifest=image.composition.manifest,
            config=image.composition.config,
        )

    def correct_foreseen(self, digest: str) -> None:
        """Tell the digest instead of another one that was foreseen when the build was asked for."""
        foreseen = self.build.foreseen_digest
        if foreseen and foreseen != digest:
            self.journal.line(f"Not {foreseen}, which was foreseen: it is made of other parts.")
            self.build.write(foreseen_digest=digest)

    def assemble(self, client: RegistryClient, lock: Lock) -> AssembledImage:
        """The image with all of its blobs in the repository; its manifest is not pushed yet."""
        plan = planned_layers(lock, self.base, self.target)
        os_layers = OSLayer.of(self.build.spec, self.base)
        known = known_layers.layers_by_key(
            [*(item.key for item in os_layers), *(item.key for item in plan)]
        )
        environment = self.environment(plan)
        unchanged = self.find_unchanged(client, lock, environment, [*os_layers, *plan], known)
        if unchanged is not None:
            return unchanged
        below = [self.os_layers.bring(client, item, known.get(item.key)) for item in os_layers]
        made, uploaded = self.bring_layers(client, plan, known, environment)
        keyed, notes = arrange_layers([*(item for item, _ in below), environment, *made], lock)
        self.tell(notes)
        composition = compose_for(self.build, keyed, client, self.repository, self.retained)
        uploaded += sum(sent for _, sent in below)
        uploaded += self.push_config(client, composition)
        return AssembledImage(composition, keyed, uploaded, confirmed=True)

    # --- resolve ---------------------------------------------------------------------------------------

    def resolve(self) -> Lock:
        if self.build.lock:
            is_first = self.build.foreseen_digest and self.build.attempts == 1
            self.journal.line(TAKEN if is_first else "Using the lock that this build has already.")
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
            # Whoever asks for it once more wants to have what is new.
            anew=self.build.reason != BuildReason.CREATE,
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

    def environment(self, plan: Sequence[PlannedLayer]) -> KeyedLayer:
        """The environment's own layer. It is so small that making it is quicker than asking for it."""
        interpreter, version = self.base.interpreter, self.target.python_version
        # A base with curated libraries has them in an environment of its own.
        below = [folder for folder in self.base.site_packages if folder.startswith(BASE_PREFIX)]
        user = user_of_images(self.base)
        brought = any(wheel.name == "pip" for layer in plan for wheel in layer.wheels)
        pip = "pip" in dict(self.base.libraries) and not brought
        layer = write.write_environment_layer(
            interpreter, version, self.work / "environment", below=below, user=user, pip=pip
        )
        key = keys.environment_layer_key(interpreter, version, below=below, user=user, pip=pip)
        return KeyedLayer(key, ENVIRONMENT_TITLE, layer)

    def find_unchanged(
        self,
        client: RegistryClient,
        lock: Lock,
        environment: KeyedLayer,
        others: Sequence[PlannedLayer | OSLayer],
        known: Mapping[str, CachedLayer],
    ) -> AssembledImage | None:
        """The image, if the repository holds just this one already, from an earlier build."""
        if not self.retained.digests or any(item.key not in known for item in others):
            return None
        found = [KeyedLayer.from_registry(item.key, item.title, known[item.key]) for item in others]
        below = len([item for item in others if isinstance(item, OSLayer)])
        keyed, notes = arrange_layers([*found[:below], environment, *found[below:]], lock)
        composition = compose(self.build, keyed)
        if composition.digest not in self.retained.digests:
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
        self.tell(notes)
        self.journal.line(
            f"Nothing has changed since build {twin.number}: its manifest is tagged anew."
        )
        return AssembledImage(composition, keyed, 0, confirmed=False)

    def bring_layers(
        self,
        client: RegistryClient,
        plan: Sequence[PlannedLayer],
        known: Mapping[str, CachedLayer],
        environment: KeyedLayer,
    ) -> tuple[list[KeyedLayer], int]:
        """The wheel layers, and the bytes uploaded; they, the base's and the environment's are in the
        repository then."""
        if not can_compile(self.target):
            self.journal.line(
                f"No Python {self.target.python_version} here to make .pyc files with: "
                "they are left out, and first imports are slower."
            )
        digests = {environment.layer.digest, *(layer.digest for layer in known.values())}
        holders = known_layers.holders(digests, self.prefix, self.build.image_id)
        pipeline = LayerPipeline(
            plan=plan,
            remembered=known,
            holders=holders,
            others=[
                *(
                    push.BlobToPush(item, "base layer", from_repository=self.base.repository)
                    for item in self.base_layers
                ),
                push.BlobToPush(
                    environment.descriptor,
                    environment.title,
                    environment.layer.path,
                    holders.get(environment.layer.digest, ""),
                ),
            ],
            client=client,
            repository=self.repository,
            workshop=workshop(self.work, self.target),
            journal=self.journal,
            check=self.check,
        )
        return pipeline.run(), pipeline.uploaded

    # --- image -----------------------------------------------------------------------------------------

    def push_config(self, client: RegistryClient, composition: Composition) -> int:
        """Push the config, which images of one lock share; returns the bytes uploaded."""
        config_file = self.work / "config.json"
        config_file.write_bytes(composition.config)
        config = composition.config_descriptor
        holder = known_layers.config_holder(config.digest, self.prefix)
        blobs = [push.BlobToPush(config, "configuration", config_file, holder)]
        return push.push_blobs(
            client,
            self.repository,
            blobs,
            work=self.work,
            check=self.check,
            log=self.journal.line,
        )

    @cached_property
    def retained(self) -> retention.RetentionState:
        if self.build.number == 1:
            return retention.NOTHING
        return retention.read_retention_state(self.build.image)

    @cached_property
    def base_layers(self) -> list[Descriptor]:
        naming.guard(self.prefix, self.base.repository)
        return [Descriptor.from_json(item) for item in self.base.layers]

    def push_manifest(self, client: RegistryClient, composition: Composition) -> None:
        """Tag the image, which is the last thing that a build does to its repository."""
        build, waits = self.build, self.build.reason in OF_THE_PLATFORM
        # A former attempt of this build may have put it there; then nothing changes.
        with putting(build.image_id, self.check, build.confirm, waits=waits):
            client.put_manifest(self.repository, build.tag, composition.manifest, OCI_MANIFEST)
        self.journal.end(BuildPhase.PUSH)

    def verify(self, client: RegistryClient, image: AssembledImage) -> int:
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
