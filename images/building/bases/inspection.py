"""Looking into an image without unpacking it: which Python it has, where, and with which libraries.

Layers are streamed bottom to top; whiteouts (OCI image-spec, layer.md) and links are honoured. Only
names are kept, and the first kilobytes of a few small files, so a hostile image can do no harm.
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name

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
    """Names in the image's file system: links with their targets, and small files of interest."""

    links: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    _read: int = 0

    def add_layer(self, path: Path) -> None:
        try:
            with tarfile.open(path, mode="r|*") as tar:
                for entry in tar:
                    self._add(tar, entry)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise BaseImageUnusable(
                f"A layer of the image cannot be read: {error}.",
                hint="The image may use a compression other than gzip, or be damaged.",
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
        elif entry.isfile() or entry.islnk():
            self.links.pop(path, None)
            self.files.add(path)
            limit = MAX_DPKG_STATUS if path == DPKG_STATUS else SMALL_FILE
            if entry.isfile() and entry.size <= limit and _INTERESTING.match(path):
                stream = tar.extractfile(entry)
                assert stream is not None
                text = stream.read(limit).decode("utf-8", "replace")
                self.texts[path] = text
                self._read += len(text)
                if self._read > MAX_TEXTS:
                    raise BaseImageUnusable("The image describes more libraries than can be.")
        if len(self.files) + len(self.links) > MAX_FILES:
            raise BaseImageUnusable(f"The image holds more than {MAX_FILES:,} files.")

    def _remove(self, path: str, *, itself: bool = True) -> None:
        def is_removed(candidate: str) -> bool:
            return candidate.startswith(f"{path}/") or (itself and candidate == path)

        self.files = {name for name in self.files if not is_removed(name)}
        self.links = {name: to for name, to in self.links.items() if not is_removed(name)}
        self.texts = {name: text for name, text in self.texts.items() if not is_removed(name)}

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
    """Facts of a base image. `libraries` are (name, version) as its own Python sees them."""

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


def look_into(layers: Sequence[Path], variables: Sequence[str], size_bytes: int) -> BaseImageFacts:
    """Facts of an image from its layer files and its config's environment.

    Raises `BaseImageUnusable` if no `python3` is on its PATH.
    """
    tree = FileTree()
    for layer in layers:
        tree.add_layer(layer)
    environment = dict(variable.partition("=")[::2] for variable in variables)
    interpreter = find_interpreter(tree, environment.get("PATH") or DEFAULT_PATH)
    version = posixpath.basename(interpreter).removeprefix("python")
    folders = library_folders(interpreter, version)
    system = os_release(tree)
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
        os_packages=dpkg_packages(tree.texts.get(DPKG_STATUS, "")),
    )


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
