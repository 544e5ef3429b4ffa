"""Looking into an image without unpacking it: which Python it has, where, and with which libraries.

Layers are streamed bottom to top; whiteouts (OCI image-spec, layer.md) and links are honoured. Only
names are kept, the first kilobytes of a few small files, and what `libc` reads in a few binaries, so a
hostile image can do no harm.
"""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name

from images.building.bases.compression import MAX_PLAIN, PIECE, open_plain
from images.building.bases.libc import (
    MAX_BINARY,
    Binary,
    LibC,
    binary_of,
    libc_of,
    libc_of_packages,
    limit_of,
)
from images.building.native.report import NativeFiles
from images.errors import BaseImageUnusable
from images.os_families import family_of

SMALL_FILE = 64 << 10
DPKG_STATUS = "/var/lib/dpkg/status"
MAX_DPKG_STATUS = 16 << 20
# dpkg(1), "package states": not configured yet, a package is in the image all the same.
PACKAGE_IS_THERE = (
    "installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending",
)  # fmt: skip
MAX_FILES = 2_000_000
MAX_LINKS = 40
# Characters of all small files of interest together; images with a thousand libraries have some ten million.
MAX_TEXTS = 256 << 20
# What a path of the interpreter may hold: it becomes a line of pyvenv.cfg, a link's target and an argument.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._+/-]{1,254}")
# What the database, other people's tools and SBOMs take as a name or a version of a library or package.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~!-]{0,99}")
_INTERESTING = re.compile(
    r"^/(var/lib/dpkg/status|etc/os-release|usr/lib/os-release|.*\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info))$"
)
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class FileTree:
    """Names in the image's file system: links with their targets, small files and binaries of interest."""

    links: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    native: NativeFiles = field(default_factory=NativeFiles)
    binaries: dict[str, Binary] = field(default_factory=dict)
    # Bytes that the layers to come may unpack to, all together.
    plain_left: int = field(default_factory=lambda: MAX_PLAIN)
    _read: int = 0

    def add_layer(self, path: Path) -> None:
        try:
            with (
                open_plain(path, name="A layer", limit=self.plain_left) as plain,
                tarfile.open(fileobj=plain, mode="r|", bufsize=PIECE) as tar,
            ):
                for entry in tar:
                    self._add(tar, entry)
                self.plain_left -= plain.count
        except (tarfile.TarError, ValueError) as error:
            raise BaseImageUnusable(
                f"A layer of the image cannot be read: {error}.",
                hint="The image may use a compression other than gzip and zstd, or be damaged.",
            ) from error

    def _add(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        # Normalized from the root, `..` cannot lead out, and nothing is ever written anyway.
        path = posixpath.normpath(f"/{entry.name}")
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            self._remove(folder, itself=False)
        elif name.startswith(".wh."):
            self._remove(f"{folder}/{name.removeprefix('.wh.')}")
        elif entry.issym():
            self.files.discard(path)
            self.links[path] = entry.linkname
            self.native.link(path)
        elif entry.isfile() or entry.islnk():
            self.links.pop(path, None)
            self.files.add(path)
            self._read_content(tar, entry, path)
        if len(self.files) + len(self.links) > MAX_FILES:
            raise BaseImageUnusable(f"The image holds more than {MAX_FILES:,} files.")

    def _read_content(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        """Read what is of interest of a file. A stream gives the content of an entry once."""
        self.binaries.pop(path, None)
        limit = MAX_DPKG_STATUS if path == DPKG_STATUS else SMALL_FILE
        if entry.isfile() and entry.size <= limit and _INTERESTING.match(path):
            self.native.forget(path)
            self._read_text(path, content_of(tar, entry, limit))
        elif limit_of(path) and entry.size <= MAX_BINARY:
            self._read_binary(tar, entry, path)
        else:
            self.native.add_entry(path, tar, entry)

    def _read_text(self, path: str, content: bytes) -> None:
        text = content.decode("utf-8", "replace")
        self.texts[path] = text
        self._read += len(text)
        if self._read > MAX_TEXTS:
            raise BaseImageUnusable("The image describes more libraries than can be.")

    def _read_binary(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        if entry.islnk():
            binary = self.binaries.get(posixpath.normpath(f"/{entry.linkname}"))
            self.native.link(path)
        else:
            content = content_of(tar, entry, MAX_BINARY)
            binary = binary_of(content[: limit_of(path)])
            self.native.forget(path)
            self.native.look_at(path, io.BytesIO(content), len(content))
        if binary is not None:
            self.binaries[path] = binary

    def _remove(self, path: str, *, itself: bool = True) -> None:
        def is_removed(candidate: str) -> bool:
            return candidate.startswith(f"{path}/") or (itself and candidate == path)

        self.files = {name for name in self.files if not is_removed(name)}
        self.links = {name: to for name, to in self.links.items() if not is_removed(name)}
        self.texts = {name: text for name, text in self.texts.items() if not is_removed(name)}
        for name in filter(is_removed, self.native.paths()):
            self.native.forget(name)
        self.binaries = {name: it for name, it in self.binaries.items() if not is_removed(name)}

    def resolve(self, path: str) -> str | None:
        """The file that `path` leads to through links in any of its parts, or None."""
        for _ in range(MAX_LINKS):
            followed = self._follow_once(path)
            if followed == path:
                return path if path in self.files else None
            path = followed
        return None

    def _follow_once(self, path: str) -> str:
        parts = path.strip("/").split("/")
        for count in range(1, len(parts) + 1):
            head = "/" + "/".join(parts[:count])
            if head in self.links:
                target = posixpath.join(posixpath.dirname(head), self.links[head])
                return posixpath.normpath(posixpath.join(target, *parts[count:]))
        return path


@dataclass(frozen=True)
class BaseImageFacts:
    """Facts of a base image. `libraries` are (name, version) as its own Python sees them, `native` its native
    libraries (`NativeReport.pack`)."""

    python_version: str
    full_version: str
    interpreter: str
    site_packages: tuple[str, ...]
    libraries: tuple[tuple[str, str], ...]
    os_family: str
    os_pretty: str
    size_bytes: int
    os_id: str = ""
    os_packages: tuple[tuple[str, str], ...] = ()
    os_version: str = ""
    native: bytes = field(default=b"", repr=False)
    # None where neither the files nor the packages tell.
    libc: LibC | None = None


def look_into(layers: Sequence[Path], variables: Sequence[str], size_bytes: int) -> BaseImageFacts:
    """Facts of an image from its layer files and its config's environment.

    Raises `BaseImageUnusable` if no `python3` is on its PATH, or it cannot run there.
    """
    tree = FileTree()
    for layer in layers:
        tree.add_layer(layer)
    environment = dict(variable.partition("=")[::2] for variable in variables)
    interpreter = find_interpreter(tree, environment.get("PATH") or DEFAULT_PATH)
    version = posixpath.basename(interpreter).removeprefix("python")
    folders = library_folders(interpreter, version)
    system = os_release(tree)
    os_packages = dpkg_packages(tree.texts.get(DPKG_STATUS, ""))
    libc = libc_of(interpreter, tree.binaries, tree.resolve) or libc_of_packages(os_packages)
    return BaseImageFacts(
        python_version=version,
        # The official images say it in their environment; Debian's packages do not.
        full_version=word(environment.get("PYTHON_VERSION", "")),
        interpreter=interpreter,
        site_packages=folders,
        libraries=installed_libraries(tree, folders),
        os_family=os_family(system),
        os_pretty=printable(system.get("PRETTY_NAME", "Linux")),
        size_bytes=size_bytes,
        os_id=word(system.get("ID", ""))[:40],
        os_packages=os_packages,
        # As repositories of packages are called: Debian's and Ubuntu's have names, others numbers.
        os_version=word(system.get("VERSION_CODENAME") or system.get("VERSION_ID", ""))[:40],
        native=tree.native.report().provisions.pack(),
        libc=libc,
    )


def content_of(tar: tarfile.TarFile, entry: tarfile.TarInfo, limit: int) -> bytes:
    stream = tar.extractfile(entry)
    assert stream is not None
    return stream.read(limit)


def word(text: str) -> str:
    """The text if it can be a name or a version, else nothing: it is the image's own and may be anything."""
    return text if _WORD.fullmatch(text) else ""


def printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:120]


def dpkg_packages(status: str) -> tuple[tuple[str, str], ...]:
    """(name, version) of the packages in dpkg's status file (deb822(5)) whose files are there."""
    found = []
    for paragraph in status.split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        name, version = word(str(fields.get("Package", ""))), word(str(fields.get("Version", "")))
        state = str(fields.get("Status", "")).rpartition(" ")[2]
        if state in PACKAGE_IS_THERE and name and version:
            found.append((name, version))
    return tuple(sorted(found))


def listed_packages(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, version) of the lines that are `name|version`; rpm lists its keys as packages, too."""
    pairs = [line.strip().split("|") for line in lines]
    named = {(word(pair[0]), word(pair[1])) for pair in pairs if len(pair) == 2}
    return tuple(sorted(pair for pair in named if all(pair) and pair[0] != "gpg-pubkey"))


def find_interpreter(tree: FileTree, path: str) -> str:
    for folder in path.split(":"):
        for name in ("python3", "python"):
            found = tree.resolve(posixpath.join("/", folder, name))
            if found and _PLAIN_PATH.fullmatch(found) and is_python(found):
                # The name in the folder itself is stabler than what a link farm leads to.
                direct = posixpath.join("/", folder, posixpath.basename(found))
                plain = _PLAIN_PATH.fullmatch(direct) and tree.resolve(direct) == found
                return direct if plain else found
    raise BaseImageUnusable(
        "The image has no python3 on its PATH.",
        hint="A base image needs CPython 3; choose another image, for example python:3.11-slim.",
    )


def is_python(path: str) -> bool:
    return bool(re.fullmatch(r"python3\.\d+", posixpath.basename(path)))


def library_folders(interpreter: str, version: str) -> tuple[str, ...]:
    """The folders in which this Python looks for libraries, in order; Debian's has folders of its own."""
    prefix = posixpath.dirname(posixpath.dirname(interpreter))
    if prefix == "/usr":
        return (
            f"/usr/local/lib/python{version}/dist-packages",
            "/usr/lib/python3/dist-packages",
            f"/usr/lib/python{version}/site-packages",
        )
    return (f"{prefix}/lib/python{version}/site-packages",)


def installed_libraries(tree: FileTree, folders: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for folder in folders:
        for path, text in sorted(tree.texts.items()):
            inside = path.removeprefix(f"{folder}/")
            if inside == path or inside.count("/") > 1:
                continue
            metadata = HeaderParser().parsestr(text)
            name, version = word(metadata.get("Name", "")), word(metadata.get("Version", ""))
            if name and version:
                found.setdefault(canonicalize_name(name), (name, version))
    return tuple(found[name] for name in sorted(found))


def os_release(tree: FileTree) -> dict[str, str]:
    """os-release(5) as a mapping."""
    text = tree.texts.get("/etc/os-release") or tree.texts.get("/usr/lib/os-release") or ""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def os_family(system: dict[str, str]) -> str:
    family = family_of("", [system.get("ID", ""), *system.get("ID_LIKE", "").split()])
    return family.name if family else "other"
