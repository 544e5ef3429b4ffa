"""The network configuration that a bare root takes over from this machine: package indexes and mirrors.

It configures nothing of the product. An administrator gives it to every machine of a network.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

# Of pip, uv, npm and the libraries that speak TLS: where packages come from, and whom to trust.
PASSED = re.compile(
    r"(PIP|UV|NPM_CONFIG|npm_config)_\w+|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO|NODE_EXTRA_CA_CERTS|AWS_CA_BUNDLE"
)
# uv's and pip's own folders are the user's, and each root is to start without them.
KEPT_BACK = {"PIP_CACHE_DIR", "UV_CACHE_DIR", "PIP_TARGET", "PIP_PREFIX", "UV_PROJECT_ENVIRONMENT"}
COPIED = ("etc/pip.conf", "etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt")
COPIED_FOLDERS = ("usr/local/share/ca-certificates", "etc/apt/auth.conf.d")
# Each with where it goes below the home of the root's user.
OF_THE_HOME = (".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".npmrc", ".netrc")
_PATH = re.compile(r"(?:^|[\s=,]|file://)(/[\w./+-]+)")


def variables(own: Mapping[str, str] = os.environ) -> dict[str, str]:
    return {
        name: value
        for name, value in own.items()
        if PASSED.fullmatch(name) and name not in KEPT_BACK
    }


def copy_settings(root: Path, home: Path) -> None:
    """Copy this machine's settings into `root`, and its user's into `home`, a folder in there."""
    for name in COPIED:
        copy(Path("/", name), root / name)
    for name in COPIED_FOLDERS:
        if Path("/", name).is_dir():
            shutil.copytree(Path("/", name), root / name, dirs_exist_ok=True)
    for path in Path("/etc/apt/apt.conf.d").glob("*"):
        # Proxies, authorities and time-outs; what else is said there is this machine's own business.
        text = path.read_text(encoding="utf-8", errors="replace")
        if re.search(r"^\s*Acquire::", text, re.MULTILINE):
            copy(path, root / str(path)[1:])
    for name in OF_THE_HOME:
        copy(Path.home() / name, home / name)


def copy(source: Path, destination: Path) -> None:
    if source.is_file():
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.unlink(missing_ok=True)
        shutil.copyfile(source, destination)


def folders_of_packages() -> Iterator[Path]:
    """Folders of this machine that pip's or uv's settings name as indexes: they are mounted, for reading."""
    texts = [value for name, value in variables().items() if name.startswith(("PIP_", "UV_"))]
    for path in (Path("/etc/pip.conf"), *(Path.home() / name for name in OF_THE_HOME[:3])):
        if path.is_file():
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
    named = {Path(found) for text in texts for found in _PATH.findall(text)}
    # The pages of an index in a folder lead to files beside them (PEP 503).
    named = {path.parent if path.name == "simple" else path for path in named}
    return (path for path in sorted(named) if path.is_dir() and not path.is_relative_to("/etc"))


def debian_mirror() -> list[str]:
    """The machine's own mirror where it runs Debian, as its network may reach no other."""
    for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        if path.suffix in (".list", ".sources") and path.is_file():
            for word in path.read_text(encoding="utf-8", errors="replace").split():
                if word.startswith(("http://", "https://")) and word.rstrip("/").endswith(
                    "/debian"
                ):
                    return [word]
    return []
