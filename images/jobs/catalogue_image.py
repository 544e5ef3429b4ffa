"""Base images of the catalogue: curated libraries on the current root, made by the same engine.

They are installed into an environment of their own, so that a managed image on top of it can bring
another version of one of them, which then hides the base's (`layers.write_environment_layer`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from images.annotations import base_labels
from images.building.layers import keys, write
from images.building.layers.wheel import BASE_PREFIX, site_packages
from images.building.locks.files import Lock
from images.building.locks.indexes import refuse_forbidden
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.building.phases import PipelinePhase
from images.building.pipeline import KeyedLayer, LayerPipeline
from images.building.push import blobs, manifests
from images.catalogue import UseCase
from images.errors import BaseImageUnusable
from images.indexes import Indexes
from images.jobs import known_layers, native_libraries
from images.jobs.composition import arrange_layers
from images.jobs.layer_plan import planned_layers, workshop
from images.models import BaseImage, ImageType
from images.registry import connection, naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_CONFIG, OCI_MANIFEST, Descriptor, digest_of

logger = logging.getLogger(__name__)


class WorkerLog:
    """A pipeline's reports as lines of the worker's log: a base image has no page of its own."""

    def line(self, text: str) -> None:
        logger.info("%s", text)

    def begin(self, phase: PipelinePhase) -> None:
        logger.debug("%s begins", phase)

    def end(self, phase: PipelinePhase) -> None:
        logger.debug("%s ends", phase)


def make(
    base: BaseImage, use_case: UseCase, work: Path, check: Callable[[], None]
) -> dict[str, Any]:
    """Build and push the base image; the columns of `BaseImage` that describe it.

    Raises `BaseImageUnusable` if there is no root to stand on, and what resolving and building raise.
    """
    root = (
        BaseImage.objects.current()
        .filter(image_type=ImageType.ALL, python_version=base.python_version)
        .first()
    )
    if root is None:
        raise BaseImageUnusable(
            f"There is no base image {ImageType.ALL} for Python {base.python_version} to build on.",
            hint=f"Build that first: manage.py build_base_image all {base.python_version}",
        )
    target = Target(base.python_version, root.platform)
    lock = resolve(
        use_case.requirements,
        target,
        preinstalled=dict(root.libraries),
        log=logger.info,
        check=check,
        indexes=Indexes.from_settings(),
    )
    refuse_forbidden(lock)
    with connection.registry_client() as client:
        return CatalogueImage(client, base, root, lock, target, work, check).columns()


@dataclass(frozen=True)
class CatalogueImage:
    """One base image being made of a root and a lock."""

    client: RegistryClient
    base: BaseImage
    root: BaseImage
    lock: Lock
    target: Target
    work: Path
    check: Callable[[], None]

    def columns(self) -> dict[str, Any]:
        """Bring every part into the base image's repository; what `BaseImage` records of it."""
        keyed = [self.environment(), *self.bring_layers()]
        keyed, notes = arrange_layers(keyed, self.lock)
        for note in notes:
            logger.info(note.text)
        native_libraries.missing_in(self.root, keyed, logger.warning)
        config = manifests.image_config(
            self.root.config,
            [(item.layer, item.title) for item in keyed],
            labels=base_labels(self.root),
            prefix=BASE_PREFIX,
        )
        manifest = manifests.image_manifest(
            config, self.root.layers, [item.layer for item in keyed]
        )
        layers_of_all = self.push(config, manifest, keyed)
        known_layers.remember(item.made for item in keyed)
        return {
            "manifest_digest": digest_of(manifest),
            "config": json.loads(config),
            "layers": [blob.to_json() for blob in layers_of_all],
            "size_bytes": len(config) + sum(blob.size for blob in layers_of_all),
            "python_full_version": self.root.python_full_version,
            "interpreter": self.root.interpreter,
            "site_packages": [
                site_packages(BASE_PREFIX, self.base.python_version),
                *self.root.site_packages,
            ],
            "libraries": libraries(self.root, self.lock),
            "lock": self.lock.text,
            "built_on": self.root,
            "os_family": self.root.os_family,
            "os_name": self.root.os_name,
            "os_id": self.root.os_id,
            "os_packages": self.root.os_packages,
            "os_version": self.root.os_version,
            "native": native_libraries.provisions(self.root, keyed),
            "libc": self.root.libc,
            "libc_version": self.root.libc_version,
            "machine": self.root.machine,
        }

    def environment(self) -> KeyedLayer:
        interpreter, version = self.root.interpreter, self.target.python_version
        layer = write.write_environment_layer(
            interpreter, version, self.work / "environment", prefix=BASE_PREFIX
        )
        key = keys.environment_layer_key(interpreter, version, BASE_PREFIX)
        return KeyedLayer(key, "Python environment of the base image", layer)

    def bring_layers(self) -> list[KeyedLayer]:
        plan = planned_layers(self.lock, self.root, self.target, prefix=BASE_PREFIX)
        known = known_layers.layers_by_key([item.key for item in plan])
        pipeline = LayerPipeline(
            plan=plan,
            remembered=known,
            holders=known_layers.base_holders({layer.digest for layer in known.values()}),
            client=self.client,
            repository=self.base.repository,
            workshop=workshop(self.work, self.target, prefix=BASE_PREFIX),
            journal=WorkerLog(),
            check=self.check,
        )
        return pipeline.run()

    def push(self, config: bytes, manifest: bytes, keyed: Sequence[KeyedLayer]) -> list[Descriptor]:
        """Push what is not there yet, then the manifest, and read it back; all layers in their order."""
        naming.guard(naming.effective_prefix(), self.root.repository)
        config_file = self.work / "config.json"
        config_file.write_bytes(config)
        config_blob = Descriptor(OCI_CONFIG, digest_of(config), len(config))
        below = [Descriptor.from_json(layer) for layer in self.root.layers]
        blobs.push_blobs(
            self.client,
            self.base.repository,
            [
                *(
                    blobs.BlobToPush(blob, "root layer", from_repository=self.root.repository)
                    for blob in below
                ),
                blobs.BlobToPush(keyed[0].descriptor, keyed[0].title, keyed[0].layer.path),
                blobs.BlobToPush(config_blob, "configuration", config_file),
            ],
            work=self.work,
            check=self.check,
            log=logger.info,
        )
        self.check()
        digest, tag = digest_of(manifest), self.base.tag
        self.client.put_manifest(self.base.repository, tag, manifest, OCI_MANIFEST)
        all_layers = [*below, *(item.descriptor for item in keyed)]
        blobs.verify(self.client, self.base.repository, tag, digest, [config_blob, *all_layers])
        return all_layers


def libraries(root: BaseImage, lock: Lock) -> list[list[str]]:
    """The libraries that the base's Python sees: the root's, and the curated ones, which hide those."""
    seen: dict[str, list[str]] = {
        canonicalize_name(name): [name, version] for name, version in root.libraries
    }
    seen |= {wheel.name: [wheel.name, wheel.version] for wheel in lock.wheels}
    return [seen[name] for name in sorted(seen)]
