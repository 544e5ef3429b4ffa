"""A layer's files as one lower folder of an overlay.

Formats: OCI image-spec 1.1, layer.md (whiteouts, opaque whiteouts); the kernel's overlayfs.rst (a character
device 0:0 hides a file, `trusted.overlay.opaque` hides a folder's lower content). Takes root.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from isal import igzip

from images.building.layers.tree import OPAQUE, WHITEOUT
from images.errors import BuildError

# More than any image that a machine could run: the ends of what is unpacked from one layer.
MAX_ENTRIES, MAX_BYTES = 1_000_000, 50_000_000_000
PIECE = 1 << 20


def unpack_layer(file: Path, root: Path, check: Callable[[], None]) -> None:
    """Unpack a gzip-compressed layer into the empty folder `root`, with owners and modes as it says.

    Nothing is written outside of `root`: no name leads out, no parent may be a link, no hard link leaves.
    Devices and sockets are left out. Raises `BuildError` for a layer that is none of ours.
    """
    stream = igzip.open(file, "rb")  # type: ignore[no-untyped-call]
    with stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        tree = Tree(root)
        for number, entry in enumerate(archive):
            if number % 500 == 0:
                check()
            if number > MAX_ENTRIES:
                raise invalid("it has too many files")
            tree.add(archive, entry)


class Tree:
    """The folder that entries are written to. Folders that are there are real ones, made by itself."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = {PurePosixPath(".")}
        self._bytes = 0

    def add(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        name = inner_path(entry.name)
        if name == PurePosixPath("."):
            return
        if name.name.startswith(WHITEOUT):
            self._hide(name)
        elif entry.isdir():
            self._add_folder(name)
            self._own(name, entry)
            os.chmod(self._root / name, stat.S_IMODE(entry.mode))
        elif entry.isreg():
            self._add_file(archive, entry, name)
        elif entry.issym():
            self._free(name)
            os.symlink(entry.linkname, self._root / name)
            self._own(name, entry)
        elif entry.islnk():
            self._link(inner_path(entry.linkname), name)

    def _add_folder(self, name: PurePosixPath) -> None:
        if name in self._folders:
            return
        self._add_folder(name.parent)
        try:
            os.mkdir(self._root / name, 0o755)
        except FileExistsError as error:
            raise invalid(f"{str(name)[:200]!r} is a file and a folder") from error
        # The umask is the worker's own, and every user is to walk the tree.
        (self._root / name).chmod(0o755)
        self._folders.add(name)

    def _free(self, name: PurePosixPath) -> None:
        """Make way for a file: its folder is there, and no earlier file of this name."""
        self._add_folder(name.parent)
        if name in self._folders:
            raise invalid(f"{str(name)[:200]!r} is a file and a folder")
        (self._root / name).unlink(missing_ok=True)

    def _add_file(
        self, archive: tarfile.TarFile, entry: tarfile.TarInfo, name: PurePosixPath
    ) -> None:
        self._bytes += entry.size
        if self._bytes > MAX_BYTES:
            raise invalid("it is too large")
        self._free(name)
        content = archive.extractfile(entry)
        assert content is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with content, open(os.open(self._root / name, flags, 0o600), "wb") as target:
            while piece := content.read(PIECE):
                target.write(piece)
            target.flush()
            os.fchown(target.fileno(), entry.uid, entry.gid)
            os.fchmod(target.fileno(), stat.S_IMODE(entry.mode))
            # Compiled modules may be compared with the time of their source.
            os.utime(target.fileno(), (entry.mtime, entry.mtime))

    def _link(self, source: PurePosixPath, name: PurePosixPath) -> None:
        there = self._root / source
        if source.parent not in self._folders or there.is_symlink() or not there.is_file():
            raise invalid(f"{str(name)[:200]!r} is a link to no file of it")
        self._free(name)
        os.link(there, self._root / name)

    def _hide(self, name: PurePosixPath) -> None:
        self._add_folder(name.parent)
        if name.name == OPAQUE:
            os.setxattr(self._root / name.parent, "trusted.overlay.opaque", b"y")
            return
        plain = name.name.removeprefix(WHITEOUT)
        if plain in ("", ".", ".."):
            raise invalid(f"{str(name)[:200]!r} hides no file")
        hidden = name.with_name(plain)
        self._free(hidden)
        os.mknod(self._root / hidden, stat.S_IFCHR, os.makedev(0, 0))

    def _own(self, name: PurePosixPath, entry: tarfile.TarInfo) -> None:
        os.chown(self._root / name, entry.uid, entry.gid, follow_symlinks=False)


def inner_path(name: str) -> PurePosixPath:
    """A name in an archive as a path below its root. Raises `BuildError` if it leads elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise invalid(f"{name[:200]!r} leads out of it")
    return path


def invalid(reason: str) -> BuildError:
    return BuildError(f"A layer of the image cannot be unpacked: {reason}.")
