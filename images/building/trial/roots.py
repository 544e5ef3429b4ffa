"""The file system of an image as the lower folders of an overlay, each kept from one trial to the next.

A base image is unpacked once a machine, by buildah, and so is each layer above it, by its digest. So an
image whose layers were tried before costs no unpacking, and its root costs one mount.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings

from images.building.cache import work_folder
from images.building.commands import Deadline
from images.building.containers.base_roots import base_root, tree_cache
from images.building.containers.sandbox import Budget, SandboxBroken
from images.building.trial.unpacking import unpack_layer
from images.registry.distribution.descriptors import Descriptor, hex_of

# mount(2) takes a page of options; the descriptor of a folder is written in 18 characters of it.
MAX_LOWERS = 200


@dataclass(frozen=True)
class ImageFiles:
    """An image's files: the base by its digest, and the layers above it, the lowest first.

    `base_layout` gives the base image as an OCI layout below a folder, `obtain` writes a layer's blob to a
    path; each of them is asked only for what is not unpacked on this machine.
    """

    base_digest: str
    layers: Sequence[Descriptor]
    base_layout: Callable[[Path], Path]
    obtain: Callable[[Descriptor, Path], None]


@contextmanager
def root_of(
    files: ImageFiles, budget: Budget, deadline: Deadline, check: Callable[[], None]
) -> Iterator[list[Path]]:
    """The folders that the image consists of, the uppermost first, which stay while the context lasts.

    Raises `SandboxBroken` where it cannot be unpacked, and what `base_layout` and `obtain` raise.
    """
    trees = tree_cache()
    with ExitStack() as held:
        above = [
            held.enter_context(
                trees.held(
                    f"layer-{hex_of(layer.digest)}", partial(add_layer, files, layer, check), check
                )
            )
            for layer in reversed(files.layers)
        ]
        base = held.enter_context(
            base_root(files.base_digest, files.base_layout, budget, deadline, check)
        )
        found = [*above, *base]
        if len(found) > MAX_LOWERS:
            raise SandboxBroken(
                f"The image has {len(found)} layers; a sandbox takes {MAX_LOWERS} at most."
            )
        yield found


def add_layer(files: ImageFiles, layer: Descriptor, check: Callable[[], None], made: Path) -> None:
    with work_folder(settings.CACHE_DIR, "layer") as work:
        blob = work / "blob"
        files.obtain(layer, blob)
        unpack_layer(blob, made, check)
