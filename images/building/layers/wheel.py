"""Installing wheels into a layer, with the results of pip: written down in a tar, and with nothing run.

Sources: the binary distribution format (wheels), PEP 427 and its successor on packaging.python.org;
recording installed projects (RECORD, INSTALLER); pip's `operations/install/wheel.py`.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.utils import Scheme, construct_record_file, fix_shebang

from images.building.layers.bytecode import cache_name
from images.building.layers.compilers import Compiled
from images.building.layers.inflation import member_pieces, read_member
from images.building.layers.installation import Launcher, Member, WheelContents
from images.building.layers.record import Comparison, Record, record_hash
from images.building.layers.remembered_bytecode import Compiling
from images.building.layers.reserved_paths import ReservedPaths
from images.building.layers.tar import LayerWriter
from images.building.layers.wheel_archive import refuser

# Managed images' own environment, and that of base images with curated libraries below it.
MANAGED_PREFIX = "/opt/managed"
BASE_PREFIX = "/opt/base"
INSTALLER = b"ri-platform\n"
# A file up to this size is held in memory, a larger one passes through in pieces. No honest source file is
# larger, and compiling one would need a multiple of it in memory.
IN_MEMORY = 8 << 20
# What is held in memory between a source that is sent to be compiled and the file that is being written.
LOOK_AHEAD = 8 << 20
SCRIPT, MAX_SCRIPT = b"#!python", 16 << 20
TEST_FOLDERS = frozenset({"test", "tests"})


def site_packages(prefix: str, python_version: str) -> str:
    """The folder of an environment's libraries (PEP 405)."""
    return f"{prefix}/lib/python{python_version}/site-packages"


@dataclass(frozen=True)
class Environment:
    """The environment that wheels are installed into: its prefix, its Python, and what compiles for it."""

    prefix: str
    python_version: str
    compiler: Compiling | None

    @property
    def interpreter(self) -> str:
        return f"{self.prefix}/bin/python3"

    def folders(self, distribution: str) -> dict[str, str]:
        """The folder of each scheme (`sysconfig`), with headers where pip has those of this distribution."""
        library = site_packages(self.prefix, self.python_version)
        return {
            "purelib": library,
            "platlib": library,
            "scripts": f"{self.prefix}/bin",
            "headers": f"{self.prefix}/include/site/python{self.python_version}/{distribution}",
            "data": self.prefix,
        }


@dataclass(frozen=True)
class Made:
    """A file that no wheel holds but installing it makes: a launcher, or INSTALLER."""

    scheme: str
    path: str
    data: bytes
    executable: bool = False


@dataclass
class ReadFile:
    """A file on its way into the layer: `data` is None for one that is too large to be held.

    `row` compares what the archive has with RECORD, `written` is what stands in the layer.
    """

    path: str
    item: Member | Made
    data: bytes | None
    row: Comparison
    written: Comparison
    compiled: Compiled | None = None


class WheelInstallation:
    """One wheel on its way into a layer: first what it would write, then its writing.

    `items` is what stays of it at each absolute path. Errors are `WheelInvalid`, naming wheel and member.
    """

    def __init__(
        self, wheel: Path, archive: zipfile.ZipFile, environment: Environment, writer: LayerWriter
    ) -> None:
        self.wheel, self._archive = wheel.name, archive
        self._environment, self._writer = environment, writer
        self._refuse = refuser(wheel.name)
        self._reserved = ReservedPaths(environment.prefix, environment.python_version, wheel.name)
        self._folders = environment.folders(wheel.name.partition("-")[0])
        self.contents = WheelContents(archive, wheel.name)
        self.contents.refuse_other_metadata()
        self.contents.refuse_other_format()
        self.record = Record.read(self.contents.read("RECORD"))
        self.items: dict[str, Member | Made] = {}
        for item in self._everything():
            path = self._path(item.scheme, item.path)
            self.items.pop(path, None)
            self.items[path] = item
        self._rows: list[tuple[Scheme, RecordEntry]] = []

    def _everything(self) -> Iterator[Member | Made]:
        """What pip writes, in its order; RECORD comes after it."""
        launchers = self.contents.launchers(self._environment.python_version)
        yield from self.contents.members(launchers)
        yield from map(self._launcher, launchers)
        yield Made("purelib", f"{self.contents.dist_info}/INSTALLER", INSTALLER)

    def _launcher(self, launcher: Launcher) -> Made:
        script = Script(launcher.name, launcher.module, launcher.attribute, "console")
        _, data = script.generate(self._environment.interpreter, "posix")
        return Made("scripts", launcher.name, data, executable=True)

    def write(self, hidden: Collection[str] = ()) -> dict[str, str]:
        """Write it into the layer; path → sha256 in hex of each file. Those `hidden` are read alone."""
        hashes = {}
        for file in self._read_ahead(hidden):
            hashes[file.path] = self._write_file(file, kept=file.path not in hidden)
        self._write_record()
        return hashes

    @property
    def quirks(self) -> list[str]:
        """What is odd about its RECORD, once it is written, as sentences of a log."""
        return self.record.sentences(self.wheel, self.contents.files)

    def _read_ahead(self, hidden: Collection[str]) -> Iterator[ReadFile]:
        """The files in their order. Sources some way ahead are with the compilers already."""
        ahead: deque[ReadFile] = deque()
        held = 0
        for path, item in self.items.items():
            file = self._read(path, item)
            if path not in hidden:
                self._have_compiled(file)
            ahead.append(file)
            held += len(file.data or b"")
            while ahead and held > LOOK_AHEAD:
                held -= len(ahead[0].data or b"")
                yield ahead.popleft()
        yield from ahead

    def _read(self, path: str, item: Member | Made) -> ReadFile:
        """A file's content as it is installed; of a large one nothing yet."""
        if isinstance(item, Made):
            made = Comparison(None)
            made.update(item.data)
            return ReadFile(path, item, item.data, made, made)
        row = Comparison(self.record.rows.get(item.name))
        limit = MAX_SCRIPT if item.scheme == "scripts" else IN_MEMORY
        if self._archive.getinfo(item.name).file_size > limit:
            return ReadFile(path, item, None, row, row)
        data = read_member(self._archive, item.name)
        row.update(data)
        if item.scheme != "scripts":
            return ReadFile(path, item, data, row, row)
        with fix_shebang(BytesIO(data), self._environment.interpreter) as fixed:
            written = Comparison(None)
            data = fixed.read()
            written.update(data)
        return ReadFile(path, item, data, row, written)

    def _have_compiled(self, file: ReadFile) -> None:
        compiler, item = self._environment.compiler, file.item
        if compiler is None or file.data is None:
            return
        if item.scheme in ("purelib", "platlib") and is_worth_compiling(item.path):
            file.compiled = compiler.submit(file.data, file.path, file.written.sha256.digest())

    def _write_file(self, file: ReadFile, *, kept: bool) -> str:
        path, item = file.path, file.item
        if file.data is None:
            self._pass_on(file, kept=kept)
        elif kept:
            known = file.written.sha256.hexdigest()
            self._writer.add_bytes(path, file.data, known, executable=item.executable)
        if isinstance(item, Member):
            self.record.compare(item.name, file.row)
        compiler = self._environment.compiler
        if file.compiled and compiler and (bytecode := compiler.result(file.compiled)):
            self._writer.add_bytes(cache_name(path, self._environment.python_version), bytecode)
        sha256 = file.written.sha256
        hashed = Hash("sha256", record_hash(sha256))
        entry = RecordEntry(item.path, hashed, file.written.size)
        self._rows.append((Scheme(item.scheme), entry))
        return sha256.hexdigest()

    def _pass_on(self, file: ReadFile, *, kept: bool) -> None:
        """A large file from the archive into the layer, piece by piece."""
        assert isinstance(file.item, Member)
        name, row = file.item.name, file.row
        pieces = row.passing(member_pieces(self._archive, name))
        if file.item.scheme == "scripts":
            pieces = self._no_large_script(file.item.path, pieces)
        if kept:
            size = self._archive.getinfo(name).file_size
            self._writer.add_pieces(
                file.path, pieces, size, row.sha256.hexdigest, executable=file.item.executable
            )
        else:
            for _ in pieces:
                pass

    def _write_record(self) -> None:
        """RECORD of what is there now, which is what whoever removes or checks it goes by."""
        root = self._folders["purelib"]

        def relative_to_root(other: Scheme) -> str | None:
            folder = self._folders[other]
            return None if folder == root else posixpath.relpath(folder, root) + "/"

        own = f"{self.contents.dist_info}/RECORD"
        rows = [*self._rows, (Scheme("purelib"), RecordEntry(own, None, None))]
        with construct_record_file(rows, relative_to_root) as record:
            self._writer.add_bytes(self._path("purelib", own), record.read())

    def _path(self, scheme: str, relative: str) -> str:
        folder = self._folders[scheme]
        path = posixpath.normpath(f"{folder}/{relative}")
        if not path.startswith(f"{folder}/"):
            self._refuse(f"holds a file that points outside, {relative[:200]!r}")
        self._reserved.refuse(path)
        return path

    def _no_large_script(self, relative: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """What begins with `#!python` is given its interpreter by way of memory; other programs are not."""
        for number, piece in enumerate(pieces):
            if number == 0 and piece.startswith(SCRIPT):
                self._refuse(f"holds a script of more than {MAX_SCRIPT:,} bytes, {relative!r}")
            yield piece


def is_worth_compiling(relative: str) -> bool:
    """True for modules that programs import: a library's own tests are half of some of them.

    A module without its `.pyc` still works; Python compiles it when it is imported.
    """
    return relative.endswith(".py") and TEST_FOLDERS.isdisjoint(relative.split("/")[:-1])
