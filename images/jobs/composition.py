"""An image as it will be pushed: config and manifest as bytes, made of the base's layers and ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from images.building.layers.paths import LayerPaths, hidden_files
from images.building.pipeline import KeyedLayer
from images.building.push import manifests
from images.jobs import known_layers, retention
from images.models import BaseImage, Build
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_CONFIG, Descriptor, digest_of

BUILD_ANNOTATION = "org.opencontainers.image.version"


@dataclass(frozen=True)
class Composition:
    """Config and manifest of an image as bytes, with their digests."""

    config: bytes
    manifest: bytes

    @cached_property
    def config_descriptor(self) -> Descriptor:
        return Descriptor(OCI_CONFIG, digest_of(self.config), len(self.config))

    @cached_property
    def digest(self) -> str:
        return digest_of(self.manifest)


def compose(
    base: BaseImage, keyed: Sequence[KeyedLayer], annotations: Mapping[str, str] | None = None
) -> Composition:
    config = manifests.image_config(
        base.config,
        [(item.layer, item.title) for item in keyed],
        labels={
            "org.opencontainers.image.base.name": str(base),
            "org.opencontainers.image.base.digest": base.manifest_digest,
        },
    )
    layers = [item.layer for item in keyed]
    return Composition(config, manifests.image_manifest(config, base.layers, layers, annotations))


def refuse_conflicts(keyed: Sequence[KeyedLayer], log: Callable[[str], None]) -> None:
    """Compare the layers' paths before they become an image, and tell which library's file is another's
    there.

    Raises `WheelInvalid` where a file and a folder meet. What no list of paths is kept of (OS packages)
    lies elsewhere.
    """
    known = known_layers.paths_of([item.made for item in keyed])
    for hidden in hidden_files(
        [
            (item.title, LayerPaths.unpacked(known[item.layer.digest]))
            for item in keyed
            if item.layer.digest in known
        ]
    ):
        log(str(hidden))


def compose_for(
    build: Build, keyed: Sequence[KeyedLayer], client: RegistryClient, repository: str
) -> Composition:
    """The image of a build, told apart from one that the registry may be about to let go of.

    A lifecycle policy names images by tags of superseded builds. One that is there under such tags alone
    must not become current by one tag more, so the new one differs from it by an annotation.
    """
    plain = compose(build.base_image, keyed)
    if (
        plain.digest in retention.standing(build.image).digests
        or client.head_manifest(repository, plain.digest) is None
    ):
        return plain
    tagged = client.head_manifest(repository, build.tag)
    if tagged is not None and tagged.digest == plain.digest:
        return plain  # pushed by an attempt of this build that did not live to tell
    return compose(build.base_image, keyed, {BUILD_ANNOTATION: build.tag})
