"""Unpacking a layer: nothing in it leads out of its folder."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from images.building.layers.tree import write_tree_layer
from images.building.trial.unpacking import unpack_layer
from images.errors import BuildError
from tests.needs import needs

pytestmark = needs("root")


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, 0o644
    return made


def unpacked(folder: Path, *entries: tarfile.TarInfo) -> Path:
    file, root = folder / "layer.tar.gz", folder / "root"
    with tarfile.open(file, "w:gz") as archive:
        for item in entries:
            item.size = 3 if item.isreg() else 0
            archive.addfile(item, io.BytesIO(b"abc") if item.isreg() else None)
    root.mkdir()
    unpack_layer(file, root, lambda: None)
    return root


def test_files_folders_and_links_are_as_the_layer_says(tmp_path: Path) -> None:
    program, folder = entry("bin/program"), entry("closed", tarfile.DIRTYPE)
    program.mode, program.uid, program.gid, program.mtime = 0o4755, 7, 8, 12
    folder.mode = 0o700
    root = unpacked(
        tmp_path,
        program,
        folder,
        entry("closed/file"),
        entry("link", tarfile.SYMTYPE, "/etc/passwd"),
        entry("twin", tarfile.LNKTYPE, "bin/program"),
    )
    there = (root / "bin/program").stat()
    assert (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode), there.st_mtime) == (
        7, 8, 0o4755, 12,
    )  # fmt: skip
    assert (root / "bin").stat().st_mode & 0o777 == 0o755
    assert (root / "closed").stat().st_mode & 0o777 == 0o700
    assert (root / "link").readlink() == Path("/etc/passwd")
    assert (root / "twin").samefile(root / "bin/program")


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../out")],
        [entry("/out")],
        [entry("a/../../out")],
        [entry("a", tarfile.SYMTYPE, ".."), entry("a/out")],
        [entry("a", tarfile.SYMTYPE, ".."), entry("a", tarfile.DIRTYPE), entry("a/out")],
        [entry("a", tarfile.SYMTYPE, ".."), entry("b", tarfile.LNKTYPE, "a/secret")],
        [entry("a", tarfile.SYMTYPE, "../secret"), entry("b", tarfile.LNKTYPE, "a")],
        [entry("b", tarfile.LNKTYPE, "../secret")],
        [entry(".wh...")],
        [entry("a/.wh..")],
        [entry("a", tarfile.DIRTYPE), entry("a")],
        [entry("a", tarfile.DIRTYPE), entry(".wh.a")],
    ],
    ids=lambda entries: " ".join(f"{item.name}>{item.linkname}" for item in entries),
)
def test_what_leads_elsewhere_is_refused(entries: list[tarfile.TarInfo], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(BuildError, match="cannot be unpacked"):
        unpacked(tmp_path, *entries)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer.tar.gz", "root", "secret"]


def test_a_later_file_takes_the_place_of_a_link_and_not_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    root = unpacked(tmp_path, entry("a", tarfile.SYMTYPE, "../secret"), entry("a"))
    assert (root / "a").read_text() == "abc"
    assert (tmp_path / "secret").read_text() == "secret"


def test_devices_are_left_out(tmp_path: Path) -> None:
    device = entry("null", tarfile.CHRTYPE)
    device.devmajor, device.devminor = 1, 3
    assert list(unpacked(tmp_path, device, entry("pipe", tarfile.FIFOTYPE)).iterdir()) == []


def test_what_a_container_hid_is_hidden_again(tmp_path: Path) -> None:
    """A layer of OS packages, of an overlay's upper folder and back."""
    upper, root = tmp_path / "upper", tmp_path / "root"
    (upper / "opaque").mkdir(parents=True)
    root.mkdir()
    os.mknod(upper / "gone", stat.S_IFCHR, os.makedev(0, 0))
    try:
        os.setxattr(upper / "opaque", "trusted.overlay.opaque", b"y")
    except OSError as error:
        pytest.skip(f"This file system takes no such attribute: {error.strerror}")
    unpack_layer(write_tree_layer(upper, tmp_path / "layer").path, root, lambda: None)
    gone = (root / "gone").lstat()
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert os.getxattr(root / "opaque", "trusted.overlay.opaque") == b"y"
