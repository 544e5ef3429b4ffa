"""A layer's native libraries: which it provides and what its files need, kept beside it as its paths are.

A file of an image is provided under its own name and its DT_SONAME, and under the names of links to it.

Many wheels hold files that nobody loads unless an option of theirs is used: plugins, transports, backends of
a GPU. So a file is *loaded* by itself only where Python or a user would: an extension module, a program in
the environment's `bin`, or a library that a module of the same wheel names, as those for ctypes are. All
else counts once something that is loaded needs it (`images.building.native.linking`).
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Self

from images.building.native.elf import MAGIC, MAX_NAME, ElfFile, read_elf

# Counts up whenever a report says something else of the same files.
FORMAT = 1
# What a report may take, unpacked: those of the largest wheels and of whole distributions have 3 MB.
MAX_UNPACKED = 64 << 20
# What one layer's files may be: the largest wheels have some hundred, distributions some thousand.
MAX_FILES = 20_000
# Characters of all names together: all of Debian's libraries in one image have 3 million. Past it, files of a
# layer are not noted any more.
MAX_TEXT = 12 << 20
# The largest ones, of CUDA, have almost 1 GB.
MAX_ELF = 4 << 30
# A file of a stream up to this size is read by way of memory, a larger one by way of disk.
IN_MEMORY = 4 << 20
# No honest source file is larger.
MAX_SOURCE = 8 << 20

# What `import` finds, by the suffixes of importlib.machinery.EXTENSION_SUFFIXES of any Python 3 here; a
# plain `.so` is one unless it is named as libraries are.
_EXTENSION = re.compile(r"\w+\.(cpython-3\d+[\w-]*|abi3[\w-]*)\.so|(?!lib)\w+\.so")
_PROGRAM = re.compile(r"/opt/\w+/bin/[^/]+")
_SUFFIX, _LIBRARY = re.compile(rb"\.so\b"), re.compile(rb"\blib[\w+-]+\.so$")
TEST_FOLDERS = frozenset({"test", "tests"})
Versions = tuple[str, ...]


@dataclass(frozen=True)
class NeedyFile:
    """A file that needs others: names in DT_NEEDED, and the versions of symbols that it needs, by name.

    `library` is the one whose wheel brought it; `soname` may be empty.
    """

    path: str
    library: str
    soname: str
    is_loaded: bool
    needed: tuple[str, ...]
    versions: tuple[tuple[str, Versions], ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class NativeReport:
    """`provided`: a library's name → the versions of symbols that it defines."""

    files: tuple[NeedyFile, ...] = ()
    provided: Mapping[str, Versions] = field(default_factory=dict)

    def pack(self) -> bytes:
        """As the database keeps it; never empty, for empty says that nobody has looked."""
        files = [list(vars(item).values()) for item in self.files]
        text = json.dumps([FORMAT, files, dict(self.provided)], separators=(",", ":"))
        return zlib.compress(text.encode("utf-8"), 6)

    @classmethod
    def unpack(cls, data: bytes) -> Self | None:
        """None for what is no report, or one of another format: then nobody has looked."""
        if not data:
            return None
        text = zlib.decompressobj().decompress(data, MAX_UNPACKED)
        number, files, provided = json.loads(text)
        if number != FORMAT:
            return None
        return cls(
            tuple(
                NeedyFile(path, library, soname, loaded, tuple(needed), versions_from(versions))
                for path, library, soname, loaded, needed, versions in files
            ),
            {name: tuple(versions) for name, versions in provided.items()},
        )

    @property
    def provisions(self) -> NativeReport:
        """The report without what its files need: of what a distribution's own packages look after."""
        return NativeReport((), self.provided)


def characters(path: str, library: str, elf: ElfFile) -> int:
    """What a file takes in a report; each name has two quotes and a comma."""
    needs = [name for library, versions in elf.versions_needed for name in (library, *versions)]
    names = (path, path, library, elf.soname, *elf.needed, *needs, *elf.versions_defined)
    return sum(len(name) + 3 for name in names) + sum(
        len(name) + 3 for name in elf.versions_defined
    )


def versions_from(pairs: Iterable[Any]) -> tuple[tuple[str, Versions], ...]:
    return tuple((name, tuple(versions)) for name, versions in pairs)


def provided_by(reports: Iterable[NativeReport]) -> dict[str, Versions]:
    """What several layers provide together; libraries of one name define what any of them does."""
    found: dict[str, Versions] = {}
    for report in reports:
        for name, versions in report.provided.items():
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *versions)))
    return found


class NativeFiles:
    """The ELF files of a layer or a whole file system, collected one after the other."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[ElfFile, str]] = {}
        self._text = 0
        self._links: set[str] = set()
        # Libraries that modules name, with the library whose modules these are.
        self._named: set[tuple[str, str]] = set()

    def look_at(self, path: str, file: IO[bytes], size: int, library: str = "") -> None:
        """Note a seekable file if it is an ELF file, or a module that names one. It is read from its
        beginning, and left anywhere."""
        file.seek(0)
        if path.endswith(".py"):
            self._note_names(file.read(MAX_SOURCE), library)
        elif file.read(len(MAGIC)) == MAGIC and len(self._files) < MAX_FILES:
            elf = read_elf(file, size)
            if elf is not None and self._text < MAX_TEXT:
                self._text += characters(path, library, elf)
                self._files[path] = elf, library

    def add_entry(self, path: str, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        """Note an entry of a tar that is being streamed; its content must not have been read yet."""
        self.forget(path)
        if entry.islnk():
            self.link(path)
        elif entry.isfile() and not entry.issparse() and entry.size <= MAX_ELF:
            content = tar.extractfile(entry)
            if content is not None and content.read(len(MAGIC)) == MAGIC:
                with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
                    spool.write(MAGIC)
                    shutil.copyfileobj(content, spool, 1 << 20)
                    self.look_at(path, spool, entry.size)

    def _note_names(self, source: bytes, library: str) -> None:
        # A pattern that begins with the suffix is found fifty times as fast as one that begins with the name.
        for suffix in _SUFFIX.finditer(source):
            if name := _LIBRARY.search(source[max(0, suffix.start() - MAX_NAME) : suffix.end()]):
                self._named.add((name.group().decode("ascii"), library))

    def link(self, path: str) -> None:
        """Note a link by which a library may be found; where it leads to, the loader sees."""
        self.forget(path)
        if ".so" in path.rpartition("/")[2]:
            self._links.add(path)

    def forget(self, path: str) -> None:
        """Something else has taken this path."""
        self._files.pop(path, None)
        self._links.discard(path)

    def paths(self) -> list[str]:
        return [*self._files, *self._links]

    def report(self) -> NativeReport:
        provided: dict[str, Versions] = {path.rpartition("/")[2]: () for path in self._links}
        for path, (elf, _) in self._files.items():
            for name in filter(None, (path.rpartition("/")[2], elf.soname)):
                defined = (*provided.get(name, ()), *elf.versions_defined)
                provided[name] = tuple(dict.fromkeys(defined))
        return NativeReport(
            tuple(
                NeedyFile(
                    path,
                    library,
                    elf.soname,
                    self._is_loaded(path, library),
                    elf.needed,
                    elf.versions_needed,
                )
                for path, (elf, library) in sorted(self._files.items())
                if elf.needed
            ),
            dict(sorted(provided.items())),
        )

    def _is_loaded(self, path: str, library: str) -> bool:
        *folders, name = path.split("/")
        if not TEST_FOLDERS.isdisjoint(folders):
            return False
        return bool(
            _EXTENSION.fullmatch(name) or _PROGRAM.fullmatch(path) or (name, library) in self._named
        )
