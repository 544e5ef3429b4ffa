"""The layer of OS packages in a build: remembered like any other, else installed onto the base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from images.building.cache import caches
from images.building.containers import os_packages
from images.building.layers import keys
from images.building.layers.tar import Layer
from images.building.pipeline import KeyedLayer
from images.building.push import blobs
from images.building.workshop import name_of
from images.jobs import known_layers
from images.jobs.base_files import hold_files
from images.jobs.journal import Journal
from images.models import BaseImage, BuildPhase, CachedLayer
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_LAYER_GZIP, Descriptor
from images.requirements import OSPackage
from images.spec import ImageSpec


@dataclass(frozen=True)
class OSLayer:
    """The layer of OS packages that a spec asks for."""

    key: str
    title: str
    packages: tuple[OSPackage, ...]

    @classmethod
    def of(cls, spec: ImageSpec, base: BaseImage) -> list[OSLayer]:
        """At most one: none where no packages are asked for."""
        if not spec.os_packages:
            return []
        names = [str(package) for package in spec.os_packages]
        key = keys.os_layer_key(base.manifest_digest, names)
        return [cls(key, f"OS packages: {', '.join(names)}", spec.os_packages)]


@dataclass(frozen=True)
class OSLayers:
    """The layers of OS packages of one build, taken from memory or installed."""

    base: BaseImage
    image_id: int
    repository: str
    prefix: str
    work: Path
    journal: Journal
    check: Callable[[], None]

    def bring(
        self, client: RegistryClient, item: OSLayer, known: CachedLayer | None
    ) -> tuple[KeyedLayer, int]:
        """The layer, in the repository, and the bytes uploaded for it."""
        with self.journal.phase(BuildPhase.OS_PACKAGES):
            if known is not None:
                pushed = self.push_remembered(client, item, known)
                if pushed is not None:
                    self.journal.line(pushed.line)
                    return KeyedLayer.from_registry(item.key, item.title, known), pushed.uploaded
            layer, installed = self.install(item)
            blob = blobs.BlobToPush(
                Descriptor(layer.media_type, layer.digest, layer.size), item.title, layer.path
            )
            done = blobs.push_blob(client, self.repository, blob, self.work, self.check)
            assert done is not None
            self.journal.line(done.line)
            return KeyedLayer(item.key, item.title, layer, installed), done.uploaded

    def push_remembered(
        self, client: RegistryClient, item: OSLayer, known: CachedLayer
    ) -> blobs.PushedBlob | None:
        file = self.work / "os-packages-kept"
        there = caches().layers.take(name_of(known.digest), file)
        holder = known_layers.holders([known.digest], self.prefix, self.image_id)
        blob = blobs.BlobToPush(
            Descriptor(OCI_LAYER_GZIP, known.digest, known.size_bytes),
            item.title,
            source=file if there else None,
            from_repository=holder.get(known.digest, ""),
        )
        return blobs.push_blob(client, self.repository, blob, self.work, self.check)

    def install(self, item: OSLayer) -> tuple[Layer, tuple[tuple[str, str], ...]]:
        layer, installed = os_packages.install(
            item.packages,
            files=lambda budget, deadline: hold_files(self.base, budget, deadline, self.check),
            family=self.base.packages_by,
            work=self.work,
            destination=self.work / "os-packages.tar.gz",
            log=self.journal.line,
            check=self.check,
        )
        caches().layers.keep(name_of(layer.digest), layer.path)
        return layer, installed
