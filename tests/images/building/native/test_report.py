"""Reports are made where files pass anyway: when a layer is written, and when a base image is inspected."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from images.building.bases.inspection import look_into
from images.building.layers.tree import write_tree_layer
from images.building.layers.worker import LayerJob, LayerMakers
from images.building.native.report import NativeFiles, NativeReport
from tests.images.building.bases.layouts import tar_of
from tests.images.building.elfmaker import make_elf
from tests.images.building.wheelmaker import make_wheel

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"/opt/managed/lib/python{PYTHON}/site-packages"
SYSTEM = "usr/lib/x86_64-linux-gnu"


def report_of(packed: bytes) -> NativeReport:
    found = NativeReport.unpack(packed)
    assert found is not None
    return found


@pytest.mark.slow
def test_layer_process_tells_what_the_files_of_its_wheels_need(tmp_path: Path) -> None:
    module = make_elf(needed=["libGL.so.1"], versions_needed={"libc.so.6": ["GLIBC_2.34"]})
    wheel = make_wheel(tmp_path, "sample_cv", files={"cv2/cv2.abi3.so": module})
    other = make_wheel(tmp_path, "plain")
    makers = LayerMakers(1)
    try:
        job = LayerJob((wheel, other), PYTHON, tmp_path / "layer")
        (file,) = report_of(makers.make(job).native).files
    finally:
        makers.close()
    assert (file.path, file.library) == (f"{SITE}/cv2/cv2.abi3.so", "sample-cv")
    assert file.is_loaded
    assert (file.needed, file.versions) == (("libGL.so.1",), (("libc.so.6", ("GLIBC_2.34",)),))


def test_layer_of_os_packages_tells_what_it_provides(tmp_path: Path) -> None:
    folder = tmp_path / "upper" / SYSTEM
    folder.mkdir(parents=True)
    (folder / "libGL.so.1.7.0").write_bytes(make_elf(soname="libGL.so.1", needed=["libX11.so.6"]))
    (folder / "libblas.so.3").symlink_to("/etc/alternatives/libblas.so.3")
    layer = write_tree_layer(tmp_path / "upper", tmp_path / "layer")
    found = report_of(layer.native)
    assert set(found.provided) == {"libGL.so.1", "libGL.so.1.7.0", "libblas.so.3"}
    assert found.files == ()


@pytest.mark.slow
def test_base_image_provides_what_its_last_layer_leaves(tmp_path: Path) -> None:
    below = tmp_path / "below"
    above = tmp_path / "above"
    python: dict[str, bytes | str] = {"usr/bin/python3.11": b"elf", "usr/bin/python3": "python3.11"}
    files = tar_of(
        {
            **python,
            f"{SYSTEM}/libc.so.6": make_elf(soname="libc.so.6", versions_defined=["GLIBC_2.34"]),
            f"{SYSTEM}/libz.so.1.2": make_elf(soname="libz.so.1"),
            f"{SYSTEM}/liblarge.so.1": make_elf(soname="liblarge.so.1") + bytes(5 << 20),
            "etc/os-release": b"ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n",
        }
    )
    below.write_bytes(gzip.compress(files))
    changes = tar_of({f"{SYSTEM}/.wh.libz.so.1.2": b"", f"{SYSTEM}/libc.so": b"GROUP ( libc )"})
    above.write_bytes(gzip.compress(changes))
    facts = look_into([below, above], [], 0)
    assert report_of(facts.native).provided == {"libc.so.6": ("GLIBC_2.34",), "liblarge.so.1": ()}
    assert facts.os_version == "bookworm"


@pytest.mark.slow
def test_names_of_a_layer_are_noted_up_to_a_limit() -> None:
    found = NativeFiles()
    for number in range(100):
        names = [f"lib{'x' * 200}{number}-{place}.so" for place in range(1_000)]
        content = make_elf(needed=names)
        found.look_at(f"{SITE}/{number}.so", io.BytesIO(content), len(content))
    report = found.report()
    assert 50 < len(report.files) < 70
    assert report_of(report.pack()) == report
