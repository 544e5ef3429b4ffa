"""ELF files are read as the loader reads them, and as another reader does; hostile ones are none."""

from __future__ import annotations

import io
import os
import struct
import sysconfig
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from hypothesis import given, settings
from hypothesis import strategies as st

from images.building.native.elf import ElfFile, read_elf
from tests.images.building.elfmaker import make_elf

PLAIN = make_elf(
    soname="libsample.so.1",
    needed=["libm.so.6", "libc.so.6"],
    versions_needed={"libc.so.6": ["GLIBC_2.34", "GLIBC_2.2.5"], "libm.so.6": ["GLIBC_2.29"]},
    versions_defined=["SAMPLE_1", "SAMPLE_2"],
)


def read(data: bytes) -> ElfFile | None:
    return read_elf(io.BytesIO(data), len(data))


def test_all_that_the_loader_asks_for_is_read() -> None:
    assert read(PLAIN) == ElfFile(
        soname="libsample.so.1",
        needed=("libm.so.6", "libc.so.6"),
        versions_needed=(
            ("libc.so.6", ("GLIBC_2.34", "GLIBC_2.2.5")),
            ("libm.so.6", ("GLIBC_2.29",)),
        ),
        versions_defined=("SAMPLE_1", "SAMPLE_2"),
    )


def native_files() -> list[Path]:
    libraries = Path(sysconfig.get_path("platlib"))
    # A fifth of them: the other reader takes its time.
    return [path for path in sorted(libraries.rglob("*.so*")) if path.is_file()][::5]


@pytest.mark.slow
def test_files_of_real_wheels_are_read_as_another_reader_does() -> None:
    files = native_files()
    assert len(files) > 20
    for path in files:
        with path.open("rb") as file:
            assert read_elf(file, path.stat().st_size) == by_pyelftools(path), path


def by_pyelftools(path: Path) -> ElfFile:
    with path.open("rb") as file:
        elf = ELFFile(file)
        dynamic = next(item for item in elf.iter_segments() if isinstance(item, DynamicSegment))
        soname = next((vars(tag)["soname"] for tag in dynamic.iter_tags("DT_SONAME")), "")
        needed = tuple(vars(tag)["needed"] for tag in dynamic.iter_tags("DT_NEEDED"))
        needs: list[tuple[str, tuple[str, ...]]] = []
        defined: list[str] = []
        for section in elf.iter_sections():
            if isinstance(section, GNUVerNeedSection):
                needs += [
                    (str(of.name), tuple(item.name for item in items if not item["vna_flags"] & 2))
                    for of, items in section.iter_versions()
                ]
            if isinstance(section, GNUVerDefSection):
                defined += [
                    next(items).name
                    for of, items in section.iter_versions()
                    if not of["vd_flags"] & 1
                ]
        return ElfFile(soname, needed, tuple(needs), tuple(defined))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        PLAIN[:100],
        make_elf(needed=["libc.so.6"], machine=183),
        # 32-bit, big-endian
        PLAIN[:4] + b"\x01" + PLAIN[5:],
        PLAIN[:5] + b"\x02" + PLAIN[6:],
        # program headers beyond the file, too many of them, of another size
        PLAIN[:32] + struct.pack("<Q", 1 << 63) + PLAIN[40:],
        PLAIN[:56] + struct.pack("<H", 0xFFFF) + PLAIN[58:],
        PLAIN[:54] + struct.pack("<H", 8) + PLAIN[56:],
        make_elf(needed=["lib\x07c.so.6"]),
        make_elf(needed=["l" * 300]),
        make_elf(needed=["bibliothèque.so"]),
        make_elf(needed=["libc.so.6"] * 2_000),
    ],
    ids=range(13),
)
def test_what_no_loader_here_would_load_is_none(data: bytes) -> None:
    assert read(data) is None


def test_a_table_of_versions_without_end_is_read_up_to_its_limit() -> None:
    data = bytearray(make_elf(versions_needed={"libc.so.6": ["GLIBC_2.34"] * 3}))
    auxiliary = struct.pack("<IHH", 0, 0, 4)
    # The third says that another follows 0 bytes on, which ends; 16 bytes back does not fit into the field.
    place = data.rindex(auxiliary)
    struct.pack_into("<I", data, place + 12, 0xFFFFFFF0)
    assert read(bytes(data)) is not None
    entry = data.index(struct.pack("<HH", 1, 3))
    struct.pack_into("<H", data, entry + 2, 0xFFFF)
    assert read(bytes(data)) is None


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(PLAIN)),
)
def test_no_damage_raises(changes: list[tuple[int, int]], end: int) -> None:
    data = bytearray(PLAIN)
    for place, value in changes:
        data[place] = value
    read(bytes(data[:end]))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
@pytest.mark.slow
def test_no_bytes_after_the_magic_raise(rest: bytes) -> None:
    read(PLAIN[:64] + rest)


def test_the_file_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "large.so"
    path.write_bytes(PLAIN)
    os.truncate(path, 3 << 30)
    with path.open("rb") as file:
        found = read_elf(file, path.stat().st_size)
    assert found is not None
    assert found.soname == "libsample.so.1"
