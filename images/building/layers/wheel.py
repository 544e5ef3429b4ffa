"""Installing wheels into a layer: PyPA's `installer` decides what goes where, this writes it down.

Sources: the binary distribution format (wheels), PEP 427 and its successor on packaging.python.org;
recording installed projects (RECORD, INSTALLER).
"""

from __future__ import annotations

import csv
import hashlib
import os
import posixpath
import re
import struct
import tempfile
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, BinaryIO

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.utils import Scheme, construct_record_file, fix_shebang

from images.building.layers.bytecode import Compiler, cache_name
from images.building.layers.reserved_paths import ReservedPaths
from images.building.layers.tar import PIECE, LayerWriter
from images.building.layers.wheel_archive import CheckedWheel, refuse_crowded, refuse_dangerous
from images.errors import WheelInvalid

# Managed images' own environment, and that of base images with curated libraries below it.
MANAGED_PREFIX = "/opt/managed"
BASE_PREFIX = "/opt/base"
INSTALLER = b"ri-platform\n"
# A file up to this size is copied by way of memory, a larger one by way of disk.
IN_MEMORY = 4 << 20
# No honest source file is larger; compiling one would need a multiple of it in memory.
MAX_SOURCE = 8 << 20
SCRIPT, MAX_SCRIPT = b"#!python", 16 << 20
TEST_FOLDERS = frozenset({"test", "tests"})


def site_packages(prefix: str, python_version: str) -> str:
    """The folder of an environment's libraries (PEP 405)."""
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
        refuse_crowded(wheel)
        with zipfile.ZipFile(wheel) as archive:
            refuse_dangerous(wheel, archive)
            source = CheckedWheel(archive)
            # The contents are checked while they are written: reading them twice takes a third of the time.
            source.validate_record(validate_contents=False)
            source.refuse_other_metadata(wheel.name)
            destination = LayerDestination(
                source, wheel.name, writer, python_version, compiler, prefix
            )
            install(source, destination, {"INSTALLER": INSTALLER})
    except WheelInvalid:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        csv.Error,
        InstallerError,
        EOFError,
        ValueError,
        LookupError,
        AssertionError,
        RuntimeError,
    ) as error:
        raise WheelInvalid(
            f"{wheel.name} is not a wheel that can be installed: {reason(error, wheel)}",
            hint="Choose another version of this library.",
        ) from error


def reason(error: Exception, wheel: Path) -> str:
    """The first of what is wrong, as a sentence that does not tell where this worker keeps its files."""
    issues = getattr(error, "issues", None) or [str(error) or type(error).__name__]
    return f"{str(issues[0]).removeprefix(f'In {wheel}, ').rstrip('.')}."


class LayerDestination(WheelDestination):
    """An `installer` destination that writes into a layer instead of a file system."""

    def __init__(
        self,
        source: CheckedWheel,
        wheel: str,
        writer: LayerWriter,
        python_version: str,
        compiler: Compiler | None,
        prefix: str,
    ) -> None:
        self._source = source
        self._wheel = wheel
        self._writer = writer
        self._reserved = ReservedPaths(prefix, python_version, wheel)
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
        return RecordEntry(script, Hash("sha256", record_hash(hashlib.sha256(data))), len(data))

    def write_file(
        self, scheme: Scheme, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        relative, record = os.fspath(path), self._source.record
        if record is not None and (scheme == "scripts" or not is_sha256(record)):
            # Then what is written is not what was hashed, or not so.
            if not record.validate_stream(stream):
                raise self._other_content(relative)
            stream.seek(0)
            record = None
        if scheme == "scripts":
            self._refuse_large_script(relative, stream)
            with fix_shebang(stream, self._interpreter) as fixed:
                return self._write(scheme, relative, fixed, executable=True)
        return self._write(scheme, relative, stream, executable=is_executable, record=record)

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
        self,
        scheme: str,
        relative: str,
        stream: IO[bytes],
        *,
        executable: bool,
        record: RecordEntry | None = None,
    ) -> RecordEntry:
        path = self._path(scheme, relative)
        # A tar entry starts with its size, so the content is spooled before it is written.
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
            sha256, size = hashlib.sha256(), 0
            while piece := stream.read(PIECE):
                sha256.update(piece)
                size += len(piece)
                spool.write(piece)
            if record is not None and not is_as_recorded(record, sha256, size):
                raise self._other_content(relative)
            spool.seek(0)
            self._writer.add_file(path, spool, size, sha256.hexdigest(), executable=executable)
            if self._compiler and scheme in ("purelib", "platlib") and is_worth_compiling(relative):
                self._write_bytecode(path, spool, size)
        return RecordEntry(relative, Hash("sha256", record_hash(sha256)), size)

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
        self._reserved.refuse(path)
        return path

    def _refuse_large_script(self, relative: str, stream: BinaryIO) -> None:
        """What begins with `#!python` is given its interpreter by way of memory; other programs are not."""
        if stream.read(len(SCRIPT)) == SCRIPT and stream.seek(0, os.SEEK_END) > MAX_SCRIPT:
            raise WheelInvalid(
                f"{self._wheel} holds a script of more than {MAX_SCRIPT:,} bytes, {relative!r}.",
                hint="Do not use this wheel; report it to its index.",
            )
        stream.seek(0)

    def _other_content(self, relative: str) -> WheelInvalid:
        return WheelInvalid(
            f"{self._wheel} is not a wheel that can be installed: hash or size of {relative} is another.",
            hint="Choose another version of this library.",
        )


def is_sha256(record: RecordEntry) -> bool:
    return record.hash_ is not None and record.hash_.name == "sha256" and record.size is not None


def is_as_recorded(record: RecordEntry, sha256: Any, size: int) -> bool:
    assert record.hash_ is not None
    return record.size == size and record.hash_.value == record_hash(sha256)


def is_worth_compiling(relative: str) -> bool:
    """True for modules that programs import: a library's own tests are half of some of them.

    A module without its `.pyc` still works; Python compiles it when it is imported.
    """
    return relative.endswith(".py") and TEST_FOLDERS.isdisjoint(relative.split("/")[:-1])


def record_hash(sha256: Any) -> str:
    """RECORD's form of a hash: URL-safe base64 without padding."""
    return urlsafe_b64encode(sha256.digest()).rstrip(b"=").decode("ascii")
