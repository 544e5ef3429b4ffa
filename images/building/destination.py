"""Installing wheels into a layer: PyPA's `installer` decides what goes where, this writes it down.

Sources: the binary distribution format (wheels), PEP 427 and its successor on packaging.python.org;
recording installed projects (RECORD, INSTALLER).
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import tempfile
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, BinaryIO

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import Scheme, construct_record_file, fix_shebang

from images.building.bytecode import Compiler, cache_name
from images.building.tar_layer import PIECE, LayerWriter
from images.errors import WheelInvalid

# Managed images' own environment, and that of base images with curated libraries below it.
MANAGED_PREFIX = "/opt/managed"
BASE_PREFIX = "/opt/base"
INSTALLER = b"ri-platform\n"
# A file up to this size is copied by way of memory, a larger one by way of disk.
IN_MEMORY = 4 << 20
# No honest source file is larger; compiling one would need a multiple of it in memory.
MAX_SOURCE = 8 << 20
TEST_FOLDERS = frozenset({"test", "tests"})
MAX_UNPACKED = 8 << 30
# DEFLATE cannot do better than 1032:1; honest wheels stay far below, but for files of zeros.
MAX_RATIO = 400
RATIO_COUNTS_FROM = 64 << 20


def site_packages(prefix: str, python_version: str) -> str:
    """Where an environment's libraries are (PEP 405)."""
    return f"{prefix}/lib/python{python_version}/site-packages"


def install_wheel(
    wheel: Path,
    writer: LayerWriter,
    python_version: str,
    compiler: Compiler | None,
    prefix: str = MANAGED_PREFIX,
) -> None:
    """Add everything that installing `wheel` into the environment at `prefix` writes.

    Raises `WheelInvalid` naming wheel and member.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            refuse_dangerous(wheel.name, archive)
            source = WheelFile(archive)
            source.validate_record(validate_contents=True)
            destination = LayerDestination(wheel.name, writer, python_version, compiler, prefix)
            install(source, destination, {"INSTALLER": INSTALLER})
    except WheelInvalid:
        raise
    except (zipfile.BadZipFile, InstallerError, ValueError, KeyError, AssertionError) as error:
        raise WheelInvalid(
            f"{wheel.name} is not a wheel that can be installed: {reason(error, wheel)}",
            hint="Choose another version of this library.",
        ) from error


def reason(error: Exception, wheel: Path) -> str:
    """The first of what is wrong, as a sentence that does not tell where this worker keeps its files."""
    issues = getattr(error, "issues", None) or [str(error) or type(error).__name__]
    return f"{str(issues[0]).removeprefix(f'In {wheel}, ').rstrip('.')}."


def refuse_dangerous(name: str, archive: zipfile.ZipFile) -> None:
    """Look at the archive's table before a byte is unpacked; declared sizes are enforced by zipfile."""

    def refuse(what: str) -> None:
        raise WheelInvalid(f"{name} {what}.", hint="Do not use this wheel; report it to its index.")

    seen: set[str] = set()
    unpacked = 0
    for member in archive.infolist():
        path = member.filename
        parts = path.removesuffix("/").split("/")
        if path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
            refuse(f"holds a file that points outside, {path!r}")
        if not path.isprintable():
            refuse(f"holds a file with an unprintable name, {path!r}")
        if path in seen:
            refuse(f"holds {path!r} twice")
        if (member.external_attr >> 16) & 0o170000 not in (0, 0o100000, 0o040000):
            refuse(f"holds {path!r}, which is neither a file nor a folder")
        seen.add(path)
        unpacked += member.file_size
        if unpacked > MAX_UNPACKED or (
            member.file_size > RATIO_COUNTS_FROM
            and member.file_size > MAX_RATIO * max(member.compress_size, 1)
        ):
            refuse(f"unpacks to far more than it should, at {path!r}")


class LayerDestination(WheelDestination):
    """An `installer` destination that writes into a layer instead of a file system."""

    def __init__(
        self,
        wheel: str,
        writer: LayerWriter,
        python_version: str,
        compiler: Compiler | None,
        prefix: str,
    ) -> None:
        self._wheel = wheel
        self._writer = writer
        self._python_version = python_version
        self._compiler = compiler
        library = site_packages(prefix, python_version)
        self._interpreter = f"{prefix}/bin/python3"
        distribution = wheel.partition("-")[0]
        self._folders = {
            "purelib": library,
            "platlib": library,
            "scripts": f"{prefix}/bin",
            "headers": f"{prefix}/include/site/python{python_version}/{distribution}",
            "data": prefix,
        }

    def write_script(self, name: str, module: str, attr: str, section: Any) -> RecordEntry:
        if not re.fullmatch(r"[\w][\w. -]*", name) or not re.fullmatch(r"[\w.]+", module + attr):
            raise WheelInvalid(
                f"{self._wheel} wants to install a script with the name {name!r}.",
                hint="Do not use this wheel; report it to its index.",
            )
        script, data = Script(name, module, attr, section).generate(self._interpreter, "posix")
        self._writer.add_bytes(self._path("scripts", script), data, executable=True)
        return RecordEntry(script, Hash("sha256", encoded(hashlib.sha256(data))), len(data))

    def write_file(
        self, scheme: Scheme, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        relative = os.fspath(path)
        if scheme == "scripts":
            with fix_shebang(stream, self._interpreter) as fixed:
                return self._write(scheme, relative, fixed, executable=True)
        return self._write(scheme, relative, stream, executable=is_executable)

    def finalize_installation(
        self,
        scheme: Scheme,
        record_file_path: str,
        records: Iterable[tuple[Scheme, RecordEntry]],
    ) -> None:
        root = self._folders[scheme]

        def relative_to_root(other: Scheme) -> str | None:
            folder = self._folders[other]
            return None if folder == root else posixpath.relpath(folder, root) + "/"

        with construct_record_file(list(records), relative_to_root) as record:
            self._write(scheme, record_file_path, record, executable=False)

    def _write(
        self, scheme: str, relative: str, stream: IO[bytes], *, executable: bool
    ) -> RecordEntry:
        path = self._path(scheme, relative)
        # A tar entry starts with its size, so the content is spooled before it is written.
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
            sha256, size = hashlib.sha256(), 0
            while piece := stream.read(PIECE):
                sha256.update(piece)
                size += len(piece)
                spool.write(piece)
            spool.seek(0)
            self._writer.add_file(path, spool, size, sha256.hexdigest(), executable=executable)
            if self._compiler and scheme in ("purelib", "platlib") and is_worth_compiling(relative):
                self._write_bytecode(path, spool, size)
        return RecordEntry(relative, Hash("sha256", encoded(sha256)), size)

    def _write_bytecode(self, path: str, source: IO[bytes], size: int) -> None:
        assert self._compiler is not None
        if size <= MAX_SOURCE:
            source.seek(0)
            bytecode = self._compiler.compile(source.read(), path)
            if bytecode:
                self._writer.add_bytes(cache_name(path, self._python_version), bytecode)

    def _path(self, scheme: str, relative: str) -> str:
        folder = self._folders[scheme]
        path = posixpath.normpath(f"{folder}/{relative}")
        if not path.startswith(f"{folder}/"):
            raise WheelInvalid(
                f"{self._wheel} holds a file that points outside, {relative!r}.",
                hint="Do not use this wheel; report it to its index.",
            )
        return path


def is_worth_compiling(relative: str) -> bool:
    """True for modules that programs import: a library's own tests are half of some of them.

    A module without its `.pyc` still works; Python compiles it when it is imported.
    """
    return relative.endswith(".py") and TEST_FOLDERS.isdisjoint(relative.split("/")[:-1])


def encoded(sha256: Any) -> str:
    """RECORD's form of a hash: URL-safe base64 without padding."""
    return urlsafe_b64encode(sha256.digest()).rstrip(b"=").decode("ascii")
