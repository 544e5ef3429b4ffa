"""The paths of a layer, kept beside it so that an image's layers can be compared without reading one.

A layer lies over those before it, and its files take the place of theirs. Two libraries that bring the same
path with other content are reported to whoever builds the image; a file where another library has a folder
leaves one of the two without its files, and is refused. Source: OCI image-spec, layer.md (applying
changesets).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from images.errors import WheelInvalid

# Of each file's sha256, enough to tell contents apart that were not made to look alike: it decides about a
# line of a log, and nothing else.
HASH_BYTES = 8
# What a layer's list may take, unpacked: far more than the largest wheels have.
MAX_UNPACKED = 512 << 20
FOLDER = "directory"


@dataclass(frozen=True)
class LayerPaths:
    """The files, sorted, each with the beginning of its content's hash, and the folders of a layer."""

    files: Sequence[str]
    hashes: bytes
    folders: Sequence[str]

    @classmethod
    def of(cls, written: Mapping[str, str]) -> Self:
        """The paths that a `LayerWriter` wrote: path → hash in hex, a link's text, or `FOLDER`."""
        files = sorted(path for path, content in written.items() if content != FOLDER)
        folders = sorted(path for path, content in written.items() if content == FOLDER)
        hashes = b"".join(hash_of(written[path]) for path in files)
        return cls(files, hashes, folders)

    def packed(self) -> bytes:
        """As the database keeps it. No path holds the separators: names of wheels are printable."""
        text = "\n".join(self.files) + "\0" + "\n".join(self.folders)
        return zlib.compress(text.encode("utf-8") + b"\0" + self.hashes, 6)

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(data, MAX_UNPACKED)
        files, folders, hashes = content.split(b"\0", 2)
        return cls(files.decode().splitlines(), hashes, folders.decode().splitlines())

    def hash_at(self, place: int) -> bytes:
        return self.hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def hash_of(content: str) -> bytes:
    try:
        whole = bytes.fromhex(content)
    except ValueError:
        whole = hashlib.sha256(content.encode("utf-8")).digest()
    return whole[:HASH_BYTES].ljust(HASH_BYTES, b"\0")


@dataclass(frozen=True)
class Hidden:
    """Files that are another's in the image: those of `library` at `paths`, hidden by those of `by`."""

    library: str
    by: str
    paths: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.paths) - 1:,} more" if len(self.paths) > 1 else ""
        has = "have" if len(self.paths) > 1 else "has"
        return (
            f"{self.paths[0]}{more} {has} other content in {self.library} than in {self.by}: "
            f"the image has that of {self.by}."
        )


def hidden_files(layers: Sequence[tuple[str, LayerPaths]]) -> list[Hidden]:
    """The files that one layer hides of another; the titles are in order, the lowest layer first.

    Raises `WheelInvalid` naming both, where one has a file and another a folder.
    """
    # Sets are compared as wholes: an image may have hundreds of thousands of paths.
    files: dict[str, int] = {}
    folders: dict[str, int] = {}
    found: list[Hidden] = []
    for number, (_, paths) in enumerate(layers):
        own = dict.fromkeys(paths.files, number)
        own_folders = dict.fromkeys(paths.folders, number)
        refuse_both(layers, number, folders.keys() & own.keys(), folders)
        refuse_both(layers, number, files.keys() & own_folders.keys(), files)
        if shared := files.keys() & own.keys():
            found += differing(layers, number, shared, files)
        files |= own
        folders |= own_folders
    return found


def refuse_both(
    layers: Sequence[tuple[str, LayerPaths]], number: int, shared: set[str], owners: dict[str, int]
) -> None:
    for path in sorted(shared)[:1]:
        raise WheelInvalid(
            f"{path} is a file in one and a folder in the other of {layers[owners[path]][0]} and "
            f"{layers[number][0]}.",
            hint="They cannot be installed together; leave one of them out.",
        )


def differing(
    layers: Sequence[tuple[str, LayerPaths]], number: int, shared: set[str], owners: dict[str, int]
) -> Iterator[Hidden]:
    """Those of `shared` whose content is another one in the layer that had them before."""
    title, paths = layers[number]
    own = hashes_at(paths, shared)
    for below in sorted({owners[path] for path in shared}):
        theirs = hashes_at(layers[below][1], shared)
        differ = [
            path for path in sorted(theirs) if owners[path] == below and theirs[path] != own[path]
        ]
        if differ:
            yield Hidden(layers[below][0], title, tuple(differ))


def hashes_at(paths: LayerPaths, wanted: set[str]) -> dict[str, bytes]:
    return {path: paths.hash_at(place) for place, path in enumerate(paths.files) if path in wanted}
