"""The paths of a layer, kept beside it so that an image's layers can be compared without reading one.

A layer lies over those before it, and its files take the place of theirs. Two libraries that bring the same
path with other content are reported to whoever builds the image; a file where another library has a folder
leaves one of the two without its files, and is refused. Source: OCI image-spec, layer.md (applying
changesets).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from images.building.layers.notes import Note
from images.errors import WheelInvalid

# Of each file's sha256, enough to tell contents apart that were not made to look alike: it decides about a
# line of a log, and nothing else.
HASH_BYTES = 8
OWNER_BYTES = 2
# What a layer's list may take, unpacked: far more than the largest wheels have.
MAX_UNPACKED = 512 << 20
FOLDER = "directory"


@dataclass(frozen=True)
class LayerPaths:
    """The files, sorted, each with the beginning of its content's hash, and the folders of a layer.

    `owners` are the numbers of the files' wheels in the layer, empty where there is one alone.
    """

    files: Sequence[str]
    hashes: bytes
    folders: Sequence[str]
    owners: bytes = b""

    @classmethod
    def of(cls, written: Mapping[str, str], owners: Mapping[str, int] | None = None) -> Self:
        """The paths that a `LayerWriter` wrote: path → hash in hex, a link's text, or `FOLDER`."""
        files = sorted(path for path, content in written.items() if content != FOLDER)
        folders = sorted(path for path, content in written.items() if content == FOLDER)
        hashes = b"".join(hash_of(written[path]) for path in files)
        numbers = [(owners or {}).get(path, 0) for path in files]
        packed = b"".join(number.to_bytes(OWNER_BYTES) for number in numbers)
        return cls(files, hashes, folders, packed if any(numbers) else b"")

    def pack(self) -> bytes:
        """As the database keeps it. No path holds the separators: names of wheels are printable."""
        text = "\n".join(self.files) + "\0" + "\n".join(self.folders)
        return zlib.compress(text.encode("utf-8") + b"\0" + self.hashes + self.owners, 6)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(data, MAX_UNPACKED)
        text, folders, rest = content.split(b"\0", 2)
        files = text.decode().splitlines()
        size = len(files) * HASH_BYTES
        return cls(files, rest[:size], folders.decode().splitlines(), rest[size:])

    def hash_at(self, place: int) -> bytes:
        return self.hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]

    def owner_at(self, place: int) -> int:
        return int.from_bytes(self.owners[place * OWNER_BYTES : (place + 1) * OWNER_BYTES])


def hash_of(content: str) -> bytes:
    try:
        whole = bytes.fromhex(content)
    except ValueError:
        whole = hashlib.sha256(content.encode("utf-8")).digest()
    return whole[:HASH_BYTES].ljust(HASH_BYTES, b"\0")


@dataclass(frozen=True)
class HiddenFiles:
    """Files that are another's in the image: those of `library` at `paths`, hidden by those of `by`."""

    library: str
    by: str
    paths: tuple[str, ...]

    @property
    def note(self) -> Note:
        """The sentence, for both libraries; titles are a normalized name and a version."""
        return Note(str(self), (self.library.partition(" ")[0], self.by.partition(" ")[0]))

    def __str__(self) -> str:
        more = f" and {len(self.paths) - 1:,} more" if len(self.paths) > 1 else ""
        has = "have" if len(self.paths) > 1 else "has"
        return (
            f"{self.paths[0]}{more} {has} other content in {self.library} than in {self.by}: "
            f"the image has that of {self.by}."
        )


@dataclass(frozen=True)
class Claim:
    """A file at a path that others have too: the number of its layer, of the wheel in there, its content."""

    layer: int
    library: str
    content: bytes


@dataclass(frozen=True)
class Arrangement:
    """The layers' numbers, the lowest first, and whose files are hidden then."""

    order: tuple[int, ...]
    hidden: tuple[HiddenFiles, ...]


def arrange(layers: Sequence[tuple[str, LayerPaths]], order: Sequence[str]) -> Arrangement:
    """Put layers, of title and paths each, so that of files at one path the one that pip installs last stays.

    Titles are names and versions, `numpy 2.0, six 1.17` for a layer of two. `order` is that of installation,
    by name. Layers without such files stay where they are. Raises `WheelInvalid` naming both, where one has a
    file and another a folder.
    """
    places = {name: place for place, name in enumerate(order)}
    contested = contested_files(layers)
    below: dict[int, set[int]] = {}
    for claims in contested.values():
        claims.sort(key=lambda claim: places.get(claim.library.partition(" ")[0], -1))
        for lower, upper in pairwise(claims):
            below.setdefault(upper.layer, set()).add(lower.layer)
    put = put_above(len(layers), below)
    height = {layer: number for number, layer in enumerate(put)}
    found: dict[tuple[str, str], list[str]] = {}
    for path, claims in contested.items():
        top = max(claims, key=lambda claim: height[claim.layer])
        for claim in claims:
            if claim.content != top.content:
                found.setdefault((claim.library, top.library), []).append(path)
    hidden = (HiddenFiles(*pair, tuple(sorted(paths))) for pair, paths in sorted(found.items()))
    return Arrangement(tuple(put), tuple(hidden))


def put_above(count: int, below: Mapping[int, set[int]]) -> list[int]:
    """Numbers in their order, but each after those that are to be `below` it.

    A circle, as of a layer of many wheels with another's before and after it, is broken at the lowest.
    """
    left, put = list(range(count)), []
    while left:
        free = (number for number in left if below.get(number, set()).isdisjoint(left))
        put.append(next(free, left[0]))
        left.remove(put[-1])
    return put


def contested_files(layers: Sequence[tuple[str, LayerPaths]]) -> dict[str, list[Claim]]:
    """The files that several layers have with different content. Raises `WheelInvalid` as `arrange`."""
    # Sets are compared as wholes: an image may have hundreds of thousands of paths.
    files: dict[str, int] = {}
    folders: dict[str, int] = {}
    shared: set[str] = set()
    for number, (_, paths) in enumerate(layers):
        own = dict.fromkeys(paths.files, number)
        own_folders = dict.fromkeys(paths.folders, number)
        refuse_both(layers, number, folders.keys() & own.keys(), folders)
        refuse_both(layers, number, files.keys() & own_folders.keys(), files)
        shared |= files.keys() & own.keys()
        files |= own
        folders |= own_folders
    claims: dict[str, list[Claim]] = {}
    for number, (title, paths) in enumerate(layers):
        if shared.isdisjoint(paths.files):
            continue
        libraries = title.split(", ")
        for place, path in enumerate(paths.files):
            # Bytecode lies beside its source, of which the same is told.
            if path in shared and "/__pycache__/" not in path:
                library = libraries[paths.owner_at(place)]
                claim = Claim(number, library, paths.hash_at(place))
                claims.setdefault(path, []).append(claim)
    return {
        path: found for path, found in claims.items() if len({claim.content for claim in found}) > 1
    }


def refuse_both(
    layers: Sequence[tuple[str, LayerPaths]], number: int, shared: set[str], owners: dict[str, int]
) -> None:
    for path in sorted(shared)[:1]:
        raise WheelInvalid(
            f"{path} is a file in one and a folder in the other of {layers[owners[path]][0]} and "
            f"{layers[number][0]}.",
            hint="They cannot be installed together; leave one of them out.",
        )
