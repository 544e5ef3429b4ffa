"""What is missing in an image is told, and what its loader finds in practice is not."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pytest

from images.building.native.linking import MissingLibrary, missing_libraries
from images.building.native.report import NativeFiles, NativeReport
from tests.images.building.elfmaker import make_elf

SITE = "/opt/managed/lib/python3.11/site-packages"
BASE_FILES = {
    "/lib/x86_64-linux-gnu/libc.so.6": make_elf(
        soname="libc.so.6", versions_defined=["GLIBC_2.2.5", "GLIBC_2.34"]
    ),
    "/lib/x86_64-linux-gnu/libz.so.1.2.13": make_elf(soname="libz.so.1"),
}


def report(files: Mapping[str, bytes], library: str = "sample") -> NativeReport:
    found = NativeFiles()
    for path, content in files.items():
        found.look_at(path, io.BytesIO(content), len(content), library)
    return found.report()


def in_site(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{SITE}/{path}": content for path, content in files.items()}


def missing(files: Mapping[str, bytes], *others: NativeReport) -> list[MissingLibrary]:
    return missing_libraries([report(BASE_FILES)], [report(in_site(files)), *others])


def names(found: Sequence[MissingLibrary]) -> list[str]:
    return [item.soname for item in found]


def test_library_that_no_file_of_the_image_is_called_is_missing() -> None:
    (found,) = missing({"cv2/cv2.abi3.so": make_elf(needed=["libGL.so.1", "libc.so.6"])})
    assert found == MissingLibrary("libGL.so.1", (), f"{SITE}/cv2/cv2.abi3.so", "sample")


def test_what_a_bundled_library_needs_is_told_of_the_module_that_needs_it() -> None:
    found = missing(
        {
            "cv2/cv2.abi3.so": make_elf(needed=["libQt5Core-abc.so.5"]),
            "opencv.libs/libQt5Core-abc.so.5.15": make_elf(
                soname="libQt5Core-abc.so.5", needed=["libgthread-2.0.so.0"]
            ),
        }
    )
    assert [(item.soname, item.needed_by) for item in found] == [
        ("libgthread-2.0.so.0", f"{SITE}/cv2/cv2.abi3.so")
    ]


@pytest.mark.parametrize(
    "path",
    [
        "cv2/qt/plugins/platforms/libqxcb.so",
        "nvidia/cufile/lib/libcufile_rdma.so.1",
        "sample/tests/_testing.cpython-311-x86_64-linux-gnu.so",
    ],
)
def test_what_nothing_loads_by_itself_may_need_anything(path: str) -> None:
    assert missing({path: make_elf(needed=["libibverbs.so.1"])}) == []


def test_library_that_a_module_of_its_wheel_names_is_loaded() -> None:
    named = {"lightgbm/libpath.py": b'paths = [here / "lib_lightgbm.so"]'}
    library = {"lightgbm/lib/lib_lightgbm.so": make_elf(needed=["libgomp.so.1"])}
    assert names(missing({**named, **library})) == ["libgomp.so.1"]
    assert missing(library, report(in_site(named), "another")) == []


def test_program_in_the_environment_is_loaded() -> None:
    program = report({"/opt/managed/bin/tool": make_elf(needed=["libGL.so.1"])})
    assert names(missing_libraries([], [program])) == ["libGL.so.1"]


def test_libraries_of_other_wheels_and_of_the_system_are_found() -> None:
    other = report(in_site({"torch/lib/libtorch.so": make_elf(soname="libtorch.so")}), "torch")
    module = make_elf(needed=["libtorch.so", "libz.so.1", "libc.so.6"])
    assert missing({"torchvision/_C.so": module}, other) == []


def test_name_of_a_link_is_found() -> None:
    system = NativeFiles()
    system.link("/usr/lib/x86_64-linux-gnu/libblas.so.3")
    module = report(in_site({"sample/_core.so": make_elf(needed=["libblas.so.3"])}))
    assert missing_libraries([system.report()], [module]) == []


@pytest.mark.parametrize("name", ["libcuda.so.1", "libnvidia-ml.so.1", "libGLX_nvidia.so.0"])
def test_libraries_of_the_hosts_driver_are_not_missing(name: str) -> None:
    assert missing({"sample/_core.so": make_elf(needed=[name])}) == []


def test_version_of_symbols_that_the_systems_library_lacks_is_told() -> None:
    module = make_elf(
        needed=["libc.so.6"], versions_needed={"libc.so.6": ["GLIBC_2.34", "GLIBC_2.38"]}
    )
    (found,) = missing({"sample/_core.so": module})
    assert (found.soname, found.versions) == ("libc.so.6", ("GLIBC_2.38",))


def test_library_without_versions_is_accepted_as_the_loader_does() -> None:
    module = make_elf(needed=["libz.so.1"], versions_needed={"libz.so.1": ["ZLIB_1.2.9"]})
    assert missing({"sample/_core.so": module}) == []


def test_files_for_another_c_library_or_machine_need_nothing_here() -> None:
    musl = make_elf(needed=["libc.musl-x86_64.so.1", "libstdc++.so.6"])
    arm = make_elf(needed=["libGL.so.1"], machine=183)
    assert missing({"sample/_musl.so": musl, "sample/_arm.so": arm}) == []


def test_what_few_modules_of_a_library_lack_is_optional() -> None:
    sound = {f"numba/_{number}.so": make_elf(needed=["libc.so.6"]) for number in range(3)}
    pool = {"numba/tbbpool.so": make_elf(needed=["libtbb.so.12"])}
    (found,) = missing({**sound, **pool})
    assert found.is_optional
    needy = report(in_site({"other/_core.so": make_elf(needed=["libtbb.so.12"])}), "other")
    (found,) = missing({**sound, **pool}, needy)
    assert (found.is_optional, found.library) == (False, "other")


def test_report_is_kept_small_and_comes_back_as_it_was() -> None:
    files = {
        f"scipy/_{number}.cpython-311-x86_64-linux-gnu.so": make_elf(
            needed=["libc.so.6"], versions_needed={"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.34"]}
        )
        for number in range(200)
    }
    kept = report(in_site(files))
    assert NativeReport.unpack(kept.pack()) == kept
    assert len(kept.pack()) < 5_000


def test_nobody_looked_is_told_apart_from_nothing_found() -> None:
    assert NativeReport.unpack(b"") is None
    assert NativeReport.unpack(report({}).pack()) == NativeReport()


def test_what_needs_endless_things_is_told_up_to_a_limit() -> None:
    versions = [f"GLIBC_9.{number}" for number in range(100)]
    libraries = [f"lib{number}.so" for number in range(100)]
    module = make_elf(needed=["libc.so.6", *libraries], versions_needed={"libc.so.6": versions})
    found = missing({"sample/_core.so": module})
    assert len(found) == 50
    assert all(len(item.versions) <= 10 for item in found)
