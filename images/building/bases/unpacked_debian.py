"""Root file systems of Debian or Ubuntu without root, namespaces or mmdebstrap: apt fetches them.

apt itself, in folders of its own, verifies the suite's signature, works out the dependencies and fetches the
packages; `dpkg-deb` reads them, and their files are copied into one tar with the owners that they have in
there. Maintainer scripts are not run. dpkg's database therefore says `unpacked` (dpkg(1), "package states"),
and the first `apt-get install` in a container of the image configures the packages first, as it would
after any interruption. What programs need until then, accounts and authorities, is put there.
"""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import shutil
import tarfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from images.building.bases.content import ARCHITECTURE
from images.building.bases.distributions import Distribution
from images.building.bases.mmdebstrap import EPOCH, LEFT_OUT, TIMEOUT_SECONDS, environment
from images.building.bases.recipe import Recipe
from images.building.commands import TimedOut, containment, output_of, run_streaming
from images.errors import BaseImageUnusable

TOOLS = ("apt-get", "dpkg-deb")
# For one package, with what is made of it meanwhile.
READ_SECONDS = 600.0
# apt pattern (apt-patterns(7)) for what every Debian has; the rest is what minbase adds, and our own.
WANTED = ("?essential", "apt")
# These say that /bin is /usr/bin, so that no package is fetched that would make it so.
MERGED_BY = dict.fromkeys(("bookworm", "trixie", "forky"), ("usr-is-merged",))
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
ACCOUNTS = {
    "usr/share/base-passwd/passwd.master": "etc/passwd",
    "usr/share/base-passwd/group.master": "etc/group",
}
AUTHORITIES, BUNDLE = "usr/share/ca-certificates/mozilla/", "etc/ssl/certs/ca-certificates.crt"
# Where OpenSSL looks for a bundle in Debian; the folder of hashed names is made by a maintainer script.
OPENSSL_BUNDLE = "usr/lib/ssl/cert.pem"
DPKG = "var/lib/dpkg"


def problem() -> str:
    """The reason that this cannot be done on this machine, as a sentence; empty if it can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"This worker does not run Debian or Ubuntu: it has no {' and no '.join(missing)}."
    return ""


def make(recipe: Recipe, rootfs: Path, work: Path, mirror: str, check: Callable[[], None]) -> None:
    """Make the tar `rootfs` of the suite. Raises `BaseImageUnusable` with apt's last words."""
    packages = fetch(recipe, work / "apt", mirror, check)
    root = Root(recipe)
    with tarfile.open(rootfs, "w", format=tarfile.GNU_FORMAT) as tar:
        root.begin(tar)
        for package in packages:
            check()
            root.add(tar, package)
        root.finish(tar)
    shutil.rmtree(work / "apt")


def fetch(recipe: Recipe, folder: Path, mirror: str, check: Callable[[], None]) -> list[Path]:
    """The suite's packages in `folder`, verified by apt against the suite's signature."""
    apt = own_apt(recipe.distribution, recipe.suite, folder, mirror)
    run(recipe.title, [*apt, "--error-on=any", "update"], check)
    wanted = [*WANTED, *recipe.packages, *MERGED_BY.get(recipe.suite, ())]
    run(recipe.title, [*apt, "--download-only", "install", *wanted], check)
    return sorted((folder / "cache/archives").glob("*.deb"))


def own_apt(
    distribution: Distribution,
    suite: str,
    folder: Path,
    mirror: str,
    more: Mapping[str, str] | None = None,
) -> list[str]:
    """apt-get with state, cache and the suite as its one source in `folder`, and with `more` options.

    An empty `mirror` is the distribution's own.
    """
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    sources = distribution.sources(
        suite, mirror or distribution.mirror, distribution.keyring_in(folder)
    )
    (folder / "sources.list").write_text(sources)
    options = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Architecture": ARCHITECTURE,
        "APT::Architectures": ARCHITECTURE,
        "APT::Install-Recommends": "false",
        # The user `_apt`, to which root's apt changes, has no way into this folder.
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        **(more or {}),
    }
    return ["apt-get", "-qq", "--yes", *(f"-o{name}={value}" for name, value in options.items())]


def run(title: str, command: list[str], check: Callable[[], None]) -> None:
    """Run apt-get for the suite of this title. Raises `BaseImageUnusable` with its last words."""
    said: deque[str] = deque(maxlen=5)
    try:
        status = run_streaming(
            [*containment(), *command],
            log=said.append,
            check=check,
            timeout=TIMEOUT_SECONDS,
            environment={**environment(), "LC_ALL": "C.UTF-8"},
        )
    except TimedOut:
        status = -1
        said.append(f"It took longer than {TIMEOUT_SECONDS:.0f} seconds.")
    if status != 0:
        raise BaseImageUnusable(
            f"apt-get could not fetch {title}: {' '.join(said)[-1000:]}",
            hint="An operator should look at the package mirror and the network, and, if keys are "
            "missing, install debian-archive-keyring.",
        )


@dataclass
class Root:
    """The root file system while its tar is written, one package after the other."""

    recipe: Recipe
    seen: set[str] = field(default_factory=set)
    kept: dict[str, bytes] = field(default_factory=dict)
    status: list[str] = field(default_factory=list)
    triggers: dict[str, list[str]] = field(default_factory=dict)

    def begin(self, tar: tarfile.TarFile) -> None:
        self.folder(tar, "usr")
        for name in MERGED:
            self.folder(tar, f"usr/{name}")
            self.link(tar, name, f"usr/{name}")

    def add(self, tar: tarfile.TarFile, package: Path) -> None:
        """Copy the package's files, and its part of dpkg's database."""
        with members(package, "--ctrl-tarfile") as control_tar:
            control = {
                member.name.removeprefix("./"): read_member(control_tar, member)
                for member in control_tar
                if member.isreg()
            }
        conffiles = {
            line.split()[-1].lstrip("/"): ""
            for line in control.get("conffiles", b"").decode().splitlines()
        }
        paths = []
        with members(package, "--fsys-tarfile") as data:
            for member in data:
                name = member.name.removeprefix("./").rstrip("/")
                paths.append(f"/{name}" if name not in ("", ".") else "/.")
                content = read_member(data, member) if member.isreg() else b""
                if name in conffiles:
                    conffiles[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
                self.copy(tar, member, merged_path(name), content)
        self.record(tar, control, paths, conffiles)

    def copy(
        self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, content: bytes
    ) -> None:
        if name in ("", ".") or f"/{name}".startswith(LEFT_OUT) or name in self.seen:
            return
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.size = member.type, member.mode, len(content)
        entry.uid, entry.gid, entry.mtime = member.uid, member.gid, min(int(member.mtime), EPOCH)
        entry.linkname = member.linkname
        if member.islnk():
            entry.linkname = merged_path(member.linkname.removeprefix("./"))
        self.seen.add(name)
        tar.addfile(entry, io.BytesIO(content))
        if name in ACCOUNTS or name.startswith(AUTHORITIES):
            self.kept[name] = content

    def record(
        self,
        tar: tarfile.TarFile,
        control: dict[str, bytes],
        paths: list[str],
        conffiles: dict[str, str],
    ) -> None:
        """Write the records of an unpacked package as dpkg does: status, lists, scripts, triggers."""
        text = control.pop("control").decode().strip()
        fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        package = fields["Package"]
        if fields.get("Multi-Arch") == "same":
            package += f":{fields['Architecture']}"
        first, _, rest = text.partition("\n")
        told = "".join(f"\n /{name} {digest}" for name, digest in conffiles.items() if digest)
        conf = f"\nConffiles:{told}" if told else ""
        self.status.append(f"{first}\nStatus: install ok unpacked\n{rest}{conf}\n")
        self.file(
            tar, f"{DPKG}/info/{package}.list", "".join(f"{path}\n" for path in paths).encode()
        )
        for name, content in control.items():
            script = name in ("preinst", "postinst", "prerm", "postrm", "config")
            self.file(tar, f"{DPKG}/info/{package}.{name}", content, 0o755 if script else 0o644)
        for line in control.get("triggers", b"").decode().splitlines():
            words = line.split()
            if len(words) == 2 and words[0].startswith("interest"):
                # The form of deb-triggers(5); dpkg keeps it as "package/noawait".
                suffix = "/noawait" if words[0] == "interest-noawait" else ""
                self.triggers.setdefault(words[1], []).append(package + suffix)

    def finish(self, tar: tarfile.TarFile) -> None:
        self.file(tar, f"{DPKG}/status", "\n".join(self.status).encode())
        self.file(tar, f"{DPKG}/available", b"")
        self.file(tar, f"{DPKG}/info/format", b"1\n")
        of_files = []
        for name, packages in sorted(self.triggers.items()):
            if name.startswith("/"):
                of_files += [f"{name} {package}\n" for package in packages]
            else:
                self.file(
                    tar, f"{DPKG}/triggers/{name}", "".join(f"{p}\n" for p in packages).encode()
                )
        self.file(tar, f"{DPKG}/triggers/File", "".join(of_files).encode())
        for master, name in ACCOUNTS.items():
            self.file(tar, name, self.kept[master] + self.account(name))
        if user := self.recipe.user:
            home = user.home.lstrip("/")
            self.folder(tar, posixpath.dirname(home))
            self._entry(tar, home, tarfile.DIRTYPE, 0o755, owner=user.number)
        names = sorted(name for name in self.kept if name.startswith(AUTHORITIES))
        self.file(tar, BUNDLE, b"".join(self.kept[name] for name in names))
        self.link(tar, OPENSSL_BUNDLE, f"/{BUNDLE}")
        # By name, for apt's own folder of keys is filled by a maintainer script, too.
        distribution = self.recipe.distribution
        sources = distribution.sources(self.recipe.suite, distribution.mirror, distribution.keyring)
        self.file(tar, "etc/apt/sources.list", sources.encode())

    def account(self, name: str) -> bytes:
        """The user's line of etc/passwd or etc/group."""
        user = self.recipe.user
        if user is None:
            return b""
        return (user.passwd if name == "etc/passwd" else user.group).encode()

    def folder(self, tar: tarfile.TarFile, name: str) -> None:
        """A folder, after those above it, unless it is there."""
        if name and name not in self.seen:
            self.folder(tar, posixpath.dirname(name))
            self._entry(tar, name, tarfile.DIRTYPE, 0o755)

    def file(self, tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
        self.folder(tar, posixpath.dirname(name))
        self._entry(tar, name, tarfile.REGTYPE, mode, content)

    def link(self, tar: tarfile.TarFile, name: str, target: str) -> None:
        if name not in self.seen:
            self.folder(tar, posixpath.dirname(name))
            self._entry(tar, name, tarfile.SYMTYPE, 0o777, target=target)

    def _entry(
        self,
        tar: tarfile.TarFile,
        name: str,
        kind: bytes,
        mode: int,
        content: bytes = b"",
        target: str = "",
        owner: int = 0,
    ) -> None:
        entry = tarfile.TarInfo(name)
        entry.uid = entry.gid = owner
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
        entry.mtime = EPOCH
        self.seen.add(name)
        tar.addfile(entry, io.BytesIO(content))


def merged_path(name: str) -> str:
    """The path below a merged /usr: `bin/sh` is `usr/bin/sh`."""
    first = name.partition("/")[0]
    return f"usr/{name}" if first in MERGED else name


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content is not None
    return content.read()


@contextmanager
def members(package: Path, which: str) -> Iterator[tarfile.TarFile]:
    """One of the two tars in a package (deb(5)) as a stream, decompressed by dpkg-deb."""
    command = ["dpkg-deb", which, os.fspath(package)]
    try:
        with output_of(command, timeout=READ_SECONDS) as process:
            assert process.stdout is not None
            stream: IO[bytes] = process.stdout
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                yield tar
            # Up to the end of it, or dpkg-deb would break off at the padding.
            while stream.read(1 << 16):
                pass
    except TimedOut as error:
        raise BaseImageUnusable(
            f"The package {package.name} was not read within {READ_SECONDS:.0f} seconds."
        ) from error
    if process.returncode != 0:
        raise BaseImageUnusable(f"The package {package.name} cannot be read by dpkg-deb.")
