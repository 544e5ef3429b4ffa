"""The C library of a base image, found in made files and in this machine's own."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from images.building.bases.content import inspect
from images.building.bases.from_layout import from_oci_layout
from images.building.bases.inspection import BaseImageFacts
from images.building.bases.libc import LibC, binary_of
from images.errors import BaseImageUnusable
from tests.images.building.bases.layouts import image_of

GLIBC_LOADER, MUSL_LOADER = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"
Files = dict[str, bytes | str]


def elf(text: bytes = b"", *, machine: int = 62) -> bytes:
    """The beginning of an ELF file (elf.h): 64 bits, little-endian, a shared object, with `text` in it."""
    return b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HH", 3, machine) + b"\0" * 44 + text


def python(loader: str, *, machine: int = 62) -> Files:
    named = b"\0" + loader.encode() + b"\0"
    return {"usr/bin/python3.11": elf(named, machine=machine), "usr/bin/python3": "python3.11"}


def glibc(version: str) -> bytes:
    sentence = f"GNU C Library (Debian GLIBC {version}-9) stable release version {version}.\n"
    return elf(sentence.encode())


# As Debian 12 has it, whose /lib and /lib64 are those of /usr.
DEBIAN: Files = {
    **python(GLIBC_LOADER),
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "usr/lib64/ld-linux-x86-64.so.2": "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": elf(),
    "usr/lib/x86_64-linux-gnu/libc.so.6": glibc("2.36"),
}
ALPINE: Files = {
    **python(MUSL_LOADER),
    "lib/ld-musl-x86_64.so.1": elf(b"musl libc (x86_64)\nVersion %s\n\x001.2.5\0"),
    "etc/os-release": b"ID=alpine\nPRETTY_NAME=Alpine\n",
}


def facts_of(folder: Path, *layers: Files) -> BaseImageFacts:
    return inspect(from_oci_layout(image_of(folder / "layout", *layers), work=folder))


def test_glibc_is_found_beside_the_loader_of_python(tmp_path: Path) -> None:
    assert facts_of(tmp_path, DEBIAN).libc == LibC("glibc", "2.36", "x86_64")


def test_an_older_layout_of_debian_is_followed(tmp_path: Path) -> None:
    bullseye: Files = {
        **python(GLIBC_LOADER),
        "lib64/ld-linux-x86-64.so.2": "/lib/x86_64-linux-gnu/ld-2.31.so",
        "lib/x86_64-linux-gnu/ld-2.31.so": elf(),
        "lib/x86_64-linux-gnu/libc-2.31.so": glibc("2.31"),
        "lib/x86_64-linux-gnu/libc.so.6": "libc-2.31.so",
    }
    assert facts_of(tmp_path, bullseye).libc == LibC("glibc", "2.31", "x86_64")


def test_musl_is_its_own_loader(tmp_path: Path) -> None:
    assert facts_of(tmp_path, ALPINE).libc == LibC("musl", "1.2.5", "x86_64")


def test_the_c_library_that_python_runs_on_counts(tmp_path: Path) -> None:
    both = {**ALPINE, **DEBIAN}
    found = facts_of(tmp_path, both).libc
    assert found is not None
    assert found.name == "glibc"


def test_an_upper_layer_brings_its_own_glibc(tmp_path: Path) -> None:
    newer: Files = {"usr/lib/x86_64-linux-gnu/libc.so.6": glibc("2.41")}
    assert facts_of(tmp_path, DEBIAN, newer).libc == LibC("glibc", "2.41", "x86_64")


def test_a_python_without_its_loader_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(
        BaseImageUnusable, match=r"needs /lib64/ld-linux-x86-64\.so\.2, which is not"
    ):
        facts_of(tmp_path, python(GLIBC_LOADER))


def test_a_python_of_another_machine_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(BaseImageUnusable, match="is for aarch64, not x86_64"):
        facts_of(tmp_path, {**DEBIAN, **python(GLIBC_LOADER, machine=183)})


def test_an_old_musl_is_refused_with_what_to_choose(tmp_path: Path) -> None:
    old = {**ALPINE, "lib/ld-musl-x86_64.so.1": elf(b"musl libc\n\x001.1.24\0")}
    with pytest.raises(BaseImageUnusable, match=r"musl 1\.1\.24") as raised:
        facts_of(tmp_path, old)
    assert "musl 1.2 or later" in raised.value.hint


def test_where_python_does_not_tell_dpkg_does(tmp_path: Path) -> None:
    status = b"Package: libc6\nStatus: install ok installed\nVersion: 2.31-13+deb11u11\n"
    files: Files = {
        "usr/bin/python3": "python3.9",
        "usr/bin/python3.9": b"#!/bin/sh\n",
        "var/lib/dpkg/status": status,
    }
    assert facts_of(tmp_path, files).libc == LibC("glibc", "2.31", "x86_64")


def test_what_nothing_tells_is_not_guessed(tmp_path: Path) -> None:
    files: Files = {"usr/bin/python3": "python3.11", "usr/bin/python3.11": b"#!/bin/sh\n"}
    assert facts_of(tmp_path, files).libc is None


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF" + b"\xff" * 60, b"text" * 20])
def test_what_is_no_elf_file_tells_nothing(content: bytes) -> None:
    assert binary_of(content) is None


@pytest.mark.parametrize(
    "sentence",
    [
        b"GNU C Library (GNU libc) stable release version 2.26, by Roland McGrath et al.\n",
        b"GNU C Library (Ubuntu GLIBC 2.26-0ubuntu3.8) stable release version 2.26.\n",
        b"GNU C Library (GNU libc) development release version 2.26.9000.\n",
    ],
)
def test_each_distributions_sentence_is_read(sentence: bytes) -> None:
    found = binary_of(elf(sentence))
    assert found is not None
    assert found.glibc == "2.26"
