"""A layer from what a container changed: the upper folder of an overlay, as a deterministic tar.

Its report tells the native libraries that it provides. What its files need is left out: the package system
looks after that.

Formats: OCI image-spec 1.1, layer.md (whiteouts, opaque whiteouts); the kernel's overlayfs.rst (a
character device 0:0 hides a file, `trusted.overlay.opaque` hides a folder's lower content).
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from images.building.layers.tar import PIECE, Layer, LayerFile, layer_entry
from images.building.native.report import NativeFiles
from images.errors import BuildError

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
# File capabilities, as `ping` has them, are part of a file like its mode.
CAPABILITY = "security.capability"


def write_tree_layer(upper: Path, destination: Path) -> Layer:
    """Everything in `upper`, with owners and modes, all of one time. Run as root to see it all."""
    layer = LayerFile(destination)
    seen: dict[tuple[int, int], str] = {}
    native = NativeFiles()
    try:
        for path in sorted(walk(upper)):
            add(layer, upper, path, seen)
            look_at(native, path)
        return replace(layer.finish(), native=native.report().provisions.pack())
    except BaseException:
        layer.abandon()
        raise


def walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path))


def look_at(native: NativeFiles, path: Path) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        native.link(str(path))
    elif stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            native.look_at(str(path), file, status.st_size)


def add(layer: LayerFile, upper: Path, path: Path, seen: dict[tuple[int, int], str]) -> None:
    status = path.lstat()
    name = str(path.relative_to(upper))
    if path.name.startswith(WHITEOUT):
        # In a layer it would not be this file, but delete another one.
        raise BuildError(f"The OS packages brought a file that no image can hold, {name[:200]!r}.")
    entry = layer_entry(name)
    entry.uid, entry.gid, entry.mode = status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        entry.type = tarfile.DIRTYPE
        layer.add(entry)
        if extended_attribute(path, "trusted.overlay.opaque") == b"y":
            layer.add(layer_entry(f"{name}/{OPAQUE}"))
    elif kind == stat.S_IFLNK:
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
        layer.add(entry)
    elif kind == stat.S_IFCHR and status.st_rdev == 0:
        folder, _, hidden = name.rpartition("/")
        layer.add(layer_entry(f"{folder}/{WHITEOUT}{hidden}".lstrip("/")))
    elif kind == stat.S_IFREG:
        add_file(layer, entry, path, status, seen)
    # Sockets and other devices belong to a running system, not to an image.


def add_file(
    layer: LayerFile,
    entry: tarfile.TarInfo,
    path: Path,
    status: os.stat_result,
    seen: dict[tuple[int, int], str],
) -> None:
    inode = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and inode in seen:
        entry.type, entry.linkname = tarfile.LNKTYPE, seen[inode]
        layer.add(entry)
        return
    seen[inode] = entry.name
    if capability := extended_attribute(path, CAPABILITY):
        text = capability.decode("utf-8", "surrogateescape")
        entry.pax_headers = {f"SCHILY.xattr.{CAPABILITY}": text}
    entry.size = status.st_size
    with path.open("rb") as content:
        layer.add(entry, pieces_of(content, status.st_size))


def pieces_of(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file, which may have grown meanwhile."""
    while size > 0 and (piece := file.read(min(size, PIECE))):
        size -= len(piece)
        yield piece


def extended_attribute(path: Path, attribute: str) -> bytes:
    try:
        return os.getxattr(path, attribute, follow_symlinks=False)
    except OSError:
        return b""
