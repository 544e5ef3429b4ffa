"""Compressed layers and root file systems, and files made to exhaust whoever unpacks them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from images.building.bases import compression, inspection
from images.building.bases.compression import open_plain
from images.building.bases.content import inspect
from images.building.bases.from_layout import from_oci_layout
from images.building.bases.from_rootfs import from_rootfs_tar
from images.building.push import manifests
from images.errors import BaseImageUnusable
from images.registry.distribution.descriptors import DOCKER_LAYER_ZSTD, OCI_LAYER_ZSTD
from tests.images.building.bases.layouts import ROOT, image_of, tar_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}
# Of zstd:chunked, behind the frames of the content (RFC 8878, 3.1.2).
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00rest"


def plain_of(path: Path) -> bytes:
    with open_plain(path) as plain:
        return plain.read()


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_root_file_system_is_imported_however_it_is_compressed(kind: str, tmp_path: Path) -> None:
    rootfs = tmp_path / "rootfs"
    rootfs.write_bytes(COMPRESSIONS[kind](tar_of(ROOT)))
    content = from_rootfs_tar(rootfs, work=tmp_path)
    assert inspect(content).libraries == (("six", "1.16.0"),)
    (layer,) = content.layers
    assert gzip.decompress(content.blobs[layer.digest].read_bytes()) == tar_of(ROOT)


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_layout_may_be_an_archive_of_any_compression(kind: str, tmp_path: Path) -> None:
    layout = image_of(tmp_path / "made", ROOT)
    files: dict[str, bytes | str] = {
        str(path.relative_to(layout)): path.read_bytes()
        for path in layout.rglob("*")
        if path.is_file()
    }
    archive = tmp_path / "archive"
    archive.write_bytes(COMPRESSIONS[kind](tar_of(files)))
    assert inspect(from_oci_layout(archive, work=tmp_path)).python_version == "3.11"


@pytest.mark.parametrize("media_type", [OCI_LAYER_ZSTD, DOCKER_LAYER_ZSTD])
def test_layers_of_zstd_are_read_and_keep_their_media_type(media_type: str, tmp_path: Path) -> None:
    layout = image_of(tmp_path / "l", ROOT, pack=zstd.compress, media_type=media_type)
    content = from_oci_layout(layout, work=tmp_path)
    assert inspect(content).interpreter == "/usr/bin/python3.11"
    # It is imported as it is, and what is built upon it names the same blob in OCI's words.
    (layer,) = content.layers
    assert layer.media_type == media_type
    (below,) = json.loads(manifests.image_manifest(b"{}", [layer.to_json()], []))["layers"]
    assert below == {**layer.to_json(), "mediaType": OCI_LAYER_ZSTD}


@pytest.mark.parametrize("kind", ["bzip2", "xz", "zstd"])
def test_streams_behind_one_another_are_one_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    packed = COMPRESSIONS[kind]
    path.write_bytes(packed(b"one ") + packed(b"") + packed(b"two") + b"\0" * 8)
    assert plain_of(path) == b"one two"


def test_frames_that_zstd_says_to_skip_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(zstd.compress(b"content") + SKIPPABLE)
    assert plain_of(path) == b"content"


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
@pytest.mark.parametrize("damage", ["cut off", "changed"])
def test_a_damaged_file_is_a_sentence(kind: str, damage: str, tmp_path: Path) -> None:
    packed = bytearray(COMPRESSIONS[kind](tar_of(ROOT)))
    if damage == "cut off":
        packed = packed[:-20]
    else:
        packed[10:40] = b"\xaa" * 30
    rootfs = tmp_path / "rootfs"
    rootfs.write_bytes(packed)
    with pytest.raises(BaseImageUnusable, match="rootfs cannot be unpacked"):
        inspect(from_rootfs_tar(rootfs, work=tmp_path))


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
@pytest.mark.slow
def test_a_bomb_is_given_up_at_a_proportion_of_its_size(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "FREE_OF_RATIO", 3 << 20)
    bomb = tmp_path / "rootfs"
    bomb.write_bytes(COMPRESSIONS[kind](b"\0" * (4 << 20)))
    assert bomb.stat().st_size < 5_000
    with pytest.raises(BaseImageUnusable, match="rootfs unpacks to more than 3 MiB"):
        from_rootfs_tar(bomb, work=tmp_path)


def test_all_layers_together_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = image_of(tmp_path / "l", ROOT, {"a": b"x" * 6_000}, {"b": b"x" * 6_000})
    content = from_oci_layout(layout, work=tmp_path)
    inspect(content)
    monkeypatch.setattr(inspection, "MAX_PLAIN", 25 << 10)
    with pytest.raises(BaseImageUnusable, match="A layer unpacks to more than"):
        inspect(content)


def test_a_window_that_takes_too_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 20,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    path = tmp_path / "file"
    path.write_bytes(compressor.compress(b"x" * (2 << 20)) + compressor.flush())
    assert len(plain_of(path)) == 2 << 20
    monkeypatch.setattr(compression, "MAX_WINDOW_LOG", 19)
    with pytest.raises(BaseImageUnusable, match="file cannot be unpacked"):
        plain_of(path)


def test_what_the_program_zstd_writes_is_read(tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    rootfs = tmp_path / "rootfs.tar"
    rootfs.write_bytes(tar_of(ROOT))
    subprocess.run(["zstd", "-q", "--long", "-19", rootfs], check=True)
    content = from_rootfs_tar(tmp_path / "rootfs.tar.zst", work=tmp_path)
    assert inspect(content).python_version == "3.11"
