"""Base images: where they come from, and what is found in them, whatever they hold."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from images.building.bases.content import ImageContent, inspect
from images.building.bases.from_debian import from_suite
from images.building.bases.from_layout import from_oci_layout
from images.building.bases.from_registry import from_registry
from images.building.bases.from_rootfs import from_rootfs_tar
from images.errors import BaseImageUnusable, DigestMismatch, RegistryUnavailable
from images.registry.distribution.descriptors import OCI_LAYER_GZIP, Descriptor, Manifest, digest_of
from ri_platform.local.services import free_port
from tests.images.building.bases.layouts import ROOT, image_of, tar_of


def test_python_libraries_and_system_are_found(tmp_path: Path) -> None:
    facts = inspect(from_oci_layout(image_of(tmp_path / "l", ROOT), work=tmp_path))
    assert (facts.python_version, facts.interpreter) == ("3.11", "/usr/bin/python3.11")
    assert facts.libraries == (("six", "1.16.0"),)
    assert (facts.os_family, facts.os_pretty) == ("debian", "Debian GNU/Linux 12 (bookworm)")
    assert "/usr/lib/python3/dist-packages" in facts.site_packages


def test_upper_layers_hide_lower_ones(tmp_path: Path) -> None:
    upper: dict[str, bytes | str] = {
        "usr/lib/python3/dist-packages/.wh.six-1.16.0.dist-info": b"",
        "usr/local/bin/python3.13": b"elf",
        "usr/local/bin/python3": "python3.13",
    }
    path = "/usr/local/bin:/usr/bin"
    layout = image_of(tmp_path / "l", ROOT, upper, path=path)
    facts = inspect(from_oci_layout(layout, work=tmp_path))
    assert (facts.interpreter, facts.libraries) == ("/usr/local/bin/python3.13", ())
    opaque: dict[str, bytes | str] = {"usr/bin/.wh..wh..opq": b""}
    with pytest.raises(BaseImageUnusable, match="no python3"):
        inspect(from_oci_layout(image_of(tmp_path / "m", ROOT, opaque), work=tmp_path))


@pytest.mark.parametrize(
    "files",
    [
        {"usr/bin/sh": b"x"},
        {"usr/bin/python3": "python3"},
        {"usr/bin/python3": "../../../../python3.11", "../python3.11": b"x/../.."},
        {"usr/bin/python3": "/nowhere"},
    ],
)
def test_an_image_without_python_is_no_base(files: dict[str, bytes | str], tmp_path: Path) -> None:
    if "../python3.11" in files:
        # `..` at the root stays at the root, as in the image's own eyes.
        content = from_oci_layout(image_of(tmp_path / "l", files), work=tmp_path)
        assert inspect(content).interpreter == "/python3.11"
        return
    with pytest.raises(BaseImageUnusable, match="no python3"):
        inspect(from_oci_layout(image_of(tmp_path / "l", files), work=tmp_path))


def test_another_architecture_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(BaseImageUnusable, match="linux/arm64"):
        from_oci_layout(image_of(tmp_path / "l", ROOT, architecture="arm64"), work=tmp_path)


def test_a_damaged_layout_is_refused(tmp_path: Path) -> None:
    layout = image_of(tmp_path / "l", ROOT)
    content = from_oci_layout(layout, work=tmp_path)
    blob = layout / "blobs/sha256" / content.layers[0].digest.removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatch):
        from_oci_layout(layout, work=tmp_path)
    blob.unlink()
    with pytest.raises(BaseImageUnusable, match="missing"):
        from_oci_layout(layout, work=tmp_path)
    with pytest.raises(BaseImageUnusable, match="not an OCI image layout"):
        from_oci_layout(tmp_path, work=tmp_path)


def test_a_layout_may_be_a_tar(tmp_path: Path) -> None:
    layout = image_of(tmp_path / "l", ROOT)
    archive = tmp_path / "layout.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(layout, ".")
    assert inspect(from_oci_layout(archive, work=tmp_path)).python_version == "3.11"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_rootfs_becomes_one_layer(compress: type[bytes], tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_bytes(compress(tar_of(ROOT)))
    content = from_rootfs_tar(path, work=tmp_path)
    assert content.config["rootfs"]["diff_ids"] == [digest_of(tar_of(ROOT))]
    assert inspect(content).interpreter == "/usr/bin/python3.11"


def test_a_layer_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.write_bytes(b"\x28\xb5\x2f\xfd not a tar")
    layer = Descriptor(OCI_LAYER_GZIP, "sha256:" + "0" * 64, 1)
    content = ImageContent(Manifest(b"", "", ""), {}, (layer,), {layer.digest: path})
    with pytest.raises(BaseImageUnusable, match="A layer cannot be unpacked"):
        inspect(content)


@pytest.mark.slow
def test_a_registry_out_of_reach_is_given_up_soon(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailable):
        from_registry(
            f"127.0.0.1:{free_port()}/a:b",
            tmp_path,
            log=lambda line: None,
            check=lambda: None,
            timeout=1,
        )


def test_an_unknown_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseImageUnusable, match="no suite of Debian or Ubuntu"):
        from_suite(
            "bookworm; id", tmp_path, work=tmp_path, log=lambda line: None, check=lambda: None
        )
