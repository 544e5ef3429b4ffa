"""Failures of source builds in words: whose build code failed, at which step, and what it lacked.

Compilers, shells, CMake, Meson and Python each say in their own way that a program or a header is not there.
What is known of OS packages are those that build code asks for most, by family (`images.os_families`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings

from images.building.commands import TimedOut
from images.building.containers.sandbox import SandboxBroken
from images.errors import SourceBuildFailed, SourceBuildsUnavailable

# What uv says of any failure.
_NOISE = re.compile(r"hint: Build failures usually|subprocess exited with|Error: exit status")
# How uv begins when build code fails that it asked what a library depends on.
_WHILE_RESOLVING = re.compile(
    r"Failed to (?:download and )?build `([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)`"
)
_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_PROGRAM = re.compile(
    "|".join(
        (
            rf"command '(?:[^'\s]*/)?({_NAME})' failed: No such file",  # setuptools
            rf"unable to execute '(?:[^'\s]*/)?({_NAME})'",  # distutils
            rf"(?:line |sh: )\d+: (?:[^\s:]*/)?({_NAME}): (?:command )?not found",  # shells
            rf"({_NAME}): command not found",
            rf"make(?:\[\d+\])?: ({_NAME}): No such file",
            rf"({_NAME}) executable not found",  # psycopg2
            rf"Program '?({_NAME})'? not found",  # Meson
            rf"Did not find ({_NAME})",
            r"can't find (Rust compiler)",  # setuptools-rust
            r"(Cargo), the Rust package manager, is not installed",  # maturin
            r"No (CMAKE_CXX_COMPILER|CMAKE_C_COMPILER|CMAKE_Fortran_COMPILER) could be found",
            r"Unknown compiler\(s\): \[\['(\w+)'",
        )
    )
)
# Python's own words for a program that `subprocess` does not find, and for any other file.
_FILE = re.compile(rf"No such file or directory: '(?:[^'\s]*/)?({_NAME})'")
_STARTING = "_execute_child"
_HEADER = re.compile(
    r"fatal error: '?([A-Za-z0-9_./+-]+\.h(?:pp|h)?)'?(?:: No such| file not found)"
)
# Of programs with the machine in their name, as Debian's compilers have it.
_MACHINE = re.compile(r"^(?:[a-z0-9_]+-)+linux-gnu-")
_ALIASES = {
    "Rust compiler": "rustc", "Cargo": "cargo", "cc": "gcc", "c++": "g++",
    "CMAKE_C_COMPILER": "gcc", "CMAKE_CXX_COMPILER": "g++", "CMAKE_Fortran_COMPILER": "gfortran",
    "pkgconf": "pkg-config", "CMake": "cmake",
}  # fmt: skip
# Program or header → the package that has it, in Debian and its kin, and in Red Hat's.
_PACKAGES = {
    "gcc": ("gcc", "gcc"),
    "g++": ("g++", "gcc-c++"),
    "gfortran": ("gfortran", "gcc-gfortran"),
    "make": ("make", "make"),
    "cmake": ("cmake", "cmake"),
    "ninja": ("ninja-build", "ninja-build"),
    "pkg-config": ("pkg-config", "pkgconf-pkg-config"),
    "rustc": ("rustc", "rust"),
    "cargo": ("cargo", "cargo"),
    "git": ("git", "git-core"),
    "swig": ("swig", "swig"),
    "nasm": ("nasm", "nasm"),
    "autoconf": ("autoconf", "autoconf"),
    "automake": ("automake", "automake"),
    "libtool": ("libtool", "libtool"),
    "pg_config": ("libpq-dev", "libpq-devel"),
    "mysql_config": ("default-libmysqlclient-dev", "mariadb-connector-c-devel"),
    "mariadb_config": ("libmariadb-dev", "mariadb-connector-c-devel"),
    "curl-config": ("libcurl4-openssl-dev", "libcurl-devel"),
    "xml2-config": ("libxml2-dev", "libxml2-devel"),
    "xslt-config": ("libxslt1-dev", "libxslt-devel"),
    "gdal-config": ("libgdal-dev", "gdal-devel"),
    "geos-config": ("libgeos-dev", "geos-devel"),
    "nc-config": ("libnetcdf-dev", "netcdf-devel"),
    "krb5-config": ("libkrb5-dev", "krb5-devel"),
    "llvm-config": ("llvm-dev", "llvm-devel"),
    "Python.h": ("python3-dev", "python3-devel"),
    "ffi.h": ("libffi-dev", "libffi-devel"),
    "openssl": ("libssl-dev", "openssl-devel"),
    "libpq-fe.h": ("libpq-dev", "libpq-devel"),
    "mysql.h": ("default-libmysqlclient-dev", "mariadb-connector-c-devel"),
    "sql.h": ("unixodbc-dev", "unixODBC-devel"),
    "sqlite3.h": ("libsqlite3-dev", "sqlite-devel"),
    "zlib.h": ("zlib1g-dev", "zlib-devel"),
    "bzlib.h": ("libbz2-dev", "bzip2-devel"),
    "lzma.h": ("liblzma-dev", "xz-devel"),
    "jpeglib.h": ("libjpeg-dev", "libjpeg-turbo-devel"),
    "libxml": ("libxml2-dev", "libxml2-devel"),
    "libxslt": ("libxslt1-dev", "libxslt-devel"),
    "curl": ("libcurl4-openssl-dev", "libcurl-devel"),
    "sasl": ("libsasl2-dev", "cyrus-sasl-devel"),
    "lber.h": ("libldap2-dev", "openldap-devel"),
    "hdf5.h": ("libhdf5-dev", "hdf5-devel"),
    "gmp.h": ("libgmp-dev", "gmp-devel"),
    "geos_c.h": ("libgeos-dev", "geos-devel"),
    "portaudio.h": ("portaudio19-dev", "portaudio-devel"),
    "gssapi": ("libkrb5-dev", "krb5-devel"),
}
FAMILIES = ("debian", "rhel")


def build_failed(library: str, said: Sequence[str], family: str) -> SourceBuildFailed:
    """The end of the build of a wheel; `library` is name and version, `said` are the lines of its build."""
    return SourceBuildFailed(
        f"{library} cannot be built from its source distribution. {last_words(said)}",
        hint=hint_for(said, family),
    )


def failed_while_resolving(said: Sequence[str], family: str) -> SourceBuildFailed | None:
    """What uv said, if build code failed that it ran in order to resolve; None if it is something else."""
    found = _WHILE_RESOLVING.search("\n".join(said))
    if found is None:
        return None
    return SourceBuildFailed(
        f"{found[1]} {found[2]} has no wheel, and its build code, which alone can tell what it depends on, "
        f"failed while the libraries were resolved. {last_words(said)}",
        hint=hint_for(said, family),
    )


def last_words(said: Sequence[str]) -> str:
    told = [line.strip() for line in said if line.strip() and not _NOISE.match(line.strip())]
    return " ".join(told[-4:])[-800:]


def hint_for(said: Sequence[str], family: str) -> str:
    """What to do: it names the program or header that was not there, and its OS package if that is known."""
    lacked = lacking("\n".join(said))
    if not lacked:
        return (
            "If it needs a compiler or headers, name them under OS packages, such as gcc and "
            "python3-dev; the log has all that its build said."
        )
    package = package_of(lacked, family)
    if package:
        return f"It lacks {lacked}: name {package} under OS packages, and build again."
    return f"It lacks {lacked}: name the package that has it under OS packages, and build again."


def lacking(text: str) -> str:
    """The program or header that was not there when a build failed; the last one, if several are named."""
    last, place = "", -1
    for pattern in (_PROGRAM, _HEADER, _FILE):
        for match in pattern.finditer(text):
            name = next(filter(None, match.groups()))
            name = _MACHINE.sub("", name)
            name = _ALIASES.get(name, name)
            missing_file = pattern is _FILE and name not in _PACKAGES and _STARTING not in text
            if match.start() > place and not missing_file:
                last, place = name, match.start()
    return last


def package_of(name: str, family: str) -> str:
    packages = _PACKAGES.get(name) or _PACKAGES.get(name.partition("/")[0])
    return packages[FAMILIES.index(family)] if packages and family in FAMILIES else ""


@contextmanager
def translate_sandbox_errors() -> Iterator[None]:
    """Turn the end of a sandbox from outside into an error of a build."""
    try:
        yield
    except TimedOut as error:
        raise SourceBuildFailed(
            f"Building from source took longer than {settings.SOURCE_BUILD_SECONDS} seconds.",
            hint="Choose a version that has a wheel, or ask an operator for more time "
            "(RI_SOURCE_BUILD_SECONDS).",
        ) from error
    except SandboxBroken as error:
        raise SourceBuildsUnavailable(
            f"The builds worker cannot make a sandbox: {error}",
            hint="An operator should look at it; `manage.py doctor` tries it.",
        ) from error
