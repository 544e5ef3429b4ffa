"""A layer from what a container changed: the upper folder of an overlay, as a deterministic tar.

Formats: OCI image-spec 1.1, layer.md (whiteouts, opaque whiteouts); the kernel's overlayfs.rst (a
character device 0:0 hides a file, `trusted.overlay.opaque` hides a folder's lower content).
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from images.building.layers.tar import Layer, LayerFile
from images.errors import BuildError

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
# File capabilities, as `ping` has them, are part of a file like its mode.
CAPABILITY = "security.capability"


def write_tree_layer(upper: Path, destination: Path) -> Layer:
    """Everything in `upper`, with owners and modes but without times. Run as root to see it all."""
    layer = LayerFile(destination)
    seen: dict[tuple[int, int], str] = {}
    try:
        for path in sorted(walk(upper)):
            add(layer.tar, upper, path, seen)
        return layer.finish()
    except BaseException:
        layer.abandon()
        raise


def walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path))


def add(tar: tarfile.TarFile, upper: Path, path: Path, seen: dict[tuple[int, int], str]) -> None:
    status = path.lstat()
    name = str(path.relative_to(upper))
    if path.name.startswith(WHITEOUT):
        # In a layer it would not be this file, but delete another one.
        raise BuildError(f"The OS packages brought a file that no image can hold, {name[:200]!r}.")
    entry = tarfile.TarInfo(name)
    entry.uid, entry.gid, entry.mode = status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
        if extended_attribute(path, "trusted.overlay.opaque") == b"y":
            tar.addfile(tarfile.TarInfo(f"{name}/{OPAQUE}"))
    elif kind == stat.S_IFLNK:
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
        tar.addfile(entry)
    elif kind == stat.S_IFCHR and status.st_rdev == 0:
        folder, _, hidden = name.rpartition("/")
        tar.addfile(tarfile.TarInfo(f"{folder}/{WHITEOUT}{hidden}".lstrip("/")))
    elif kind == stat.S_IFREG:
        add_file(tar, entry, path, status, seen)
    # Sockets and other devices belong to a running system, not to an image.


def add_file(
    tar: tarfile.TarFile,
    entry: tarfile.TarInfo,
    path: Path,
    status: os.stat_result,
    seen: dict[tuple[int, int], str],
) -> None:
    inode = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and inode in seen:
        entry.type, entry.linkname = tarfile.LNKTYPE, seen[inode]
        tar.addfile(entry)
        return
    seen[inode] = entry.name
    if capability := extended_attribute(path, CAPABILITY):
        text = capability.decode("utf-8", "surrogateescape")
        entry.pax_headers = {f"SCHILY.xattr.{CAPABILITY}": text}
    entry.size = status.st_size
    with path.open("rb") as content:
        tar.addfile(entry, content)


def extended_attribute(path: Path, attribute: str) -> bytes:
    try:
        return os.getxattr(path, attribute, follow_symlinks=False)
    except OSError:
        return b""
