"""The C library of a base image: whose it is, its version, and its machine, out of the files themselves.

Python names its loader (ELF, `PT_INTERP`), and beside the loader stands the C library. glibc says its
version in a sentence of `libc.so.6`; musl's loader is its C library, and holds its version as a string.
"""

from __future__ import annotations

import posixpath
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from images.errors import BaseImageUnusable

# Names of the files that are looked into: interpreters, and C libraries.
BINARY = re.compile(r".*/(python3\.\d+|libc\.so(?:\.6)?|libc-2\.\d+\.so|ld-musl-[a-z0-9_]+\.so\.1)")
# Debian's libc.so.6 has 2 MB. Of an interpreter, whose loader stands in its first page, that is enough.
MAX_BINARY = 16 << 20
MAX_HEAD = 64 << 10
# e_machine (elf.h) of what images are made for.
MACHINES = {
    3: "i686",
    40: "armv7l",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    21: "ppc64le",
    22: "s390x",
}
MACHINE = "x86_64"
_ELF, _LITTLE, _BIG = b"\x7fELF", 1, 2
_LOADER = re.compile(rb"(/[A-Za-z0-9._/+-]{1,200}/ld[A-Za-z0-9._-]{1,60}\.so\.\d)\0")
_GLIBC = re.compile(rb"GNU C Library [^\n\0]{0,200}? version (2\.\d{1,3})\b")
_MUSL = re.compile(rb"\0(1\.\d{1,2}\.\d{1,3})\0")
# PEP 656: no wheel is made for a musl before; and every Python of today is built on a later one.
OLDEST_MUSL = (1, 2)


@dataclass(frozen=True)
class Binary:
    """What is kept of an ELF file: its machine, the loader that it names, and its versions of a C library."""

    machine: str
    loader: str = ""
    glibc: str = ""
    musl: str = ""


@dataclass(frozen=True)
class LibC:
    """`name` is glibc or musl, `version` as `2.36` or musl's `1.2.5`, `machine` as `uname -m` says."""

    name: str
    version: str
    machine: str


def limit_of(path: str) -> int:
    """How many bytes of the file at `path` are read; 0 where it is no binary of interest."""
    match = BINARY.fullmatch(path)
    if match is None:
        return 0
    return MAX_HEAD if match[1].startswith("python") else MAX_BINARY


def binary_of(content: bytes) -> Binary | None:
    """None for what is no ELF file."""
    if len(content) < 20 or not content.startswith(_ELF) or content[5] not in (_LITTLE, _BIG):
        return None
    (machine,) = struct.unpack_from("<H" if content[5] == _LITTLE else ">H", content, 18)
    loader = _LOADER.search(content, 0, MAX_HEAD)
    glibc = _GLIBC.search(content)
    musl = _MUSL.search(content) if b"musl libc" in content else None
    return Binary(
        MACHINES.get(machine, f"machine {machine}"),
        *(text_of(found) for found in (loader, glibc, musl)),
    )


def libc_of_packages(packages: Iterable[tuple[str, str]]) -> LibC | None:
    """The glibc by dpkg's list, for an interpreter that does not say what it runs on."""
    version = re.match(r"2\.\d{1,3}", dict(packages).get("libc6", ""))
    return LibC("glibc", version[0], MACHINE) if version else None


def text_of(found: re.Match[bytes] | None) -> str:
    return found[1].decode("ascii") if found else ""


def libc_of(
    interpreter: str, binaries: Mapping[str, Binary], resolve: Callable[[str], str | None]
) -> LibC | None:
    """The C library that the interpreter runs on; None where the files do not tell.

    `resolve` follows the image's links. Raises `BaseImageUnusable` for a Python that cannot run there, or
    whose C library has no wheels.
    """
    python = binaries.get(resolve(interpreter) or "")
    if python is None or not python.loader:
        return None
    if python.machine != MACHINE:
        raise BaseImageUnusable(f"The image's Python is for {python.machine}, not {MACHINE}.")
    loader = resolve(python.loader)
    if loader is None:
        raise BaseImageUnusable(
            f"The image's Python cannot run: it needs {python.loader}, which is not in the image.",
            hint="The image lacks the C library that its Python was built on; choose another image.",
        )
    if "/ld-musl-" in python.loader:
        return musl_of(binaries.get(loader))
    library = binaries.get(resolve(posixpath.join(posixpath.dirname(loader), "libc.so.6")) or "")
    return LibC("glibc", library.glibc, library.machine) if library and library.glibc else None


def musl_of(library: Binary | None) -> LibC | None:
    if library is None or not library.musl:
        return None
    major, minor, _ = library.musl.split(".")
    if (int(major), int(minor)) < OLDEST_MUSL:
        raise BaseImageUnusable(
            f"The image has musl {library.musl}, for which hardly any library has wheels.",
            hint="Choose an image with musl 1.2 or later, or one with glibc, for example python:3.11-slim.",
        )
    return LibC("musl", library.musl, library.machine)
