"""An image as it will be pushed: config and manifest as bytes, made of the base's layers and ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings

from images.annotations import PREFIX, annotations_of, base_labels, newest_input
from images.building.layers.notes import Note
from images.building.layers.paths import Arrangement, LayerPaths, arrange
from images.building.locks.files import Lock
from images.building.pipeline import KeyedLayer
from images.building.push import manifests
from images.building.user import USER, User
from images.jobs import known_layers, retention
from images.models import BaseImage, Build
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_CONFIG, Descriptor, digest_of
from ri_platform.memory import Memory

ARRANGEMENTS: Memory[Arrangement] = Memory(64)
BUILD_ANNOTATION = f"{PREFIX}.version"


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


@dataclass(frozen=True)
class AssembledImage:
    """An image whose blobs are in its repository; `uploaded` is in bytes.

    `confirmed`: the registry has answered for each of them in this build that it is there.
    """

    composition: Composition
    layers: Sequence[KeyedLayer]
    uploaded: int
    confirmed: bool


def user_of_images(base: BaseImage) -> User | None:
    """The user that images on the base run as; None for the base's own, or for root by a setting."""
    names_one = (base.config.get("config") or {}).get("User")
    return None if names_one or settings.IMAGES_RUN_AS_ROOT else USER


def compose(
    build: Build, keyed: Sequence[KeyedLayer], more: Mapping[str, str] | None = None
) -> Composition:
    """Config and manifest of a build that has its lock; `more` are further annotations."""
    base, annotations = build.base_image, annotations_of(build)
    config = manifests.image_config(
        base.config,
        [(item.layer, item.title) for item in keyed],
        labels=base_labels(base),
        user=user_of_images(base),
        run_time=build.spec.run_time,
        created=newest_input(build.lock, base),
    )
    layers = [item.layer for item in keyed]
    annotations |= more or {}
    return Composition(config, manifests.image_manifest(config, base.layers, layers, annotations))


def arrange_layers(keyed: Sequence[KeyedLayer], lock: Lock) -> tuple[list[KeyedLayer], list[Note]]:
    """The layers in the order in which of files at one path pip's last one stays, and what is to be told.

    Raises `WheelInvalid` where a file and a folder meet. What no list of paths is kept of (OS packages)
    lies elsewhere.
    """
    # A digest tells the paths, so the lists are read once for images that have the same layers.
    key = (tuple((item.title, item.layer.digest) for item in keyed), lock.order)
    arrangement = ARRANGEMENTS.recall(key, lambda: arrangement_of(keyed, lock))
    notes = [note for item in keyed for note in item.layer.notes]
    notes += [item.note for item in arrangement.hidden]
    return [keyed[number] for number in arrangement.order], notes


def arrangement_of(keyed: Sequence[KeyedLayer], lock: Lock) -> Arrangement:
    known = known_layers.paths_of([item.made for item in keyed])
    nothing = LayerPaths([], b"", [])
    layers = [
        (
            item.title,
            LayerPaths.unpack(known[item.layer.digest]) if item.layer.digest in known else nothing,
        )
        for item in keyed
    ]
    return arrange(layers, lock.order)


def compose_for(
    build: Build,
    keyed: Sequence[KeyedLayer],
    client: RegistryClient,
    repository: str,
    state: retention.RetentionState,
) -> Composition:
    """The image of a build, told apart from one that the registry may be about to let go of.

    A lifecycle policy names images by tags of superseded builds. One that is there under such tags alone
    must not become current by one tag more, so the new one differs from it by an annotation.
    """
    plain = compose(build, keyed)
    if (
        plain.digest in state.digests
        or not state.superseded
        or client.head_manifest(repository, plain.digest) is None
    ):
        return plain
    tagged = client.head_manifest(repository, build.tag)
    if tagged is not None and tagged.digest == plain.digest:
        return plain  # pushed by an attempt of this build that did not live to tell
    return compose(build, keyed, {BUILD_ANNOTATION: build.tag})
