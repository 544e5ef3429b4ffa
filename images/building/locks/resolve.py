"""Resolving requirements to a lock: uv resolves for the base image's Python and platform, wheels only.

The lock is a `pylock.toml` (PEP 751) and is kept: building it again gives the same bytes. Requirement
text reaches uv through a file, one validated line each, and never a shell.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion
from uv import find_uv_bin

from images.building.commands import Said, TimedOut, run_streaming
from images.building.locks.dependencies import ASKING, dependencies_of, pins, with_dependencies
from images.building.locks.files import (
    Lock,
    LockedSource,
    LockedWheel,
    is_name,
    is_version,
    require,
)
from images.errors import BuildError, FetchFailed, LockInvalid, NoWheel, ResolutionFailed
from images.requirements import PipRequirement

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 180.0
PYLOCK = ("--format", "pylock.toml")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# What the resolver may see of the worker's environment: never its AWS identity.
_PASSED_ON = (
    "HOME",
    "PATH",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "UV_CACHE_DIR",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
)


@dataclass(frozen=True)
class Target:
    """The target of a lock: a Python minor version, and a platform in uv's words."""

    python_version: str
    platform: str = "x86_64-manylinux_2_28"

    @property
    def platform_tags(self) -> list[str]:
        """Wheel platform tags that run there, best first (PEP 600)."""
        machine, _, glibc = self.platform.partition("-manylinux_2_")
        tags = []
        for minor in range(int(glibc), 4, -1):
            tags.append(f"manylinux_2_{minor}_{machine}")
            legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}.get(minor)
            if legacy:
                tags.append(f"{legacy}_{machine}")
        return [*tags, f"linux_{machine}"]

    @property
    def tags(self) -> dict[Tag, int]:
        """Every compatible tag with its rank; the smaller, the better."""
        major, minor = (int(part) for part in self.python_version.split("."))
        platforms = self.platform_tags
        ordered = [
            *cpython_tags((major, minor), platforms=platforms),
            *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
        ]
        return {tag: rank for rank, tag in reversed(list(enumerate(ordered)))}


def resolve(
    requirements: Sequence[PipRequirement],
    target: Target,
    *,
    preinstalled: Mapping[str, str],
    log: Callable[[str], None],
    check: Callable[[], None],
    environment: Mapping[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Lock:
    """Lock `requirements` for `target`.

    `preinstalled` (name → version in the base image) are the resolver's preferences: a version that
    is there already is taken unless a requirement forbids it. `check` is asked twice a second and may
    raise. Raises `ResolutionFailed`, `NoWheel` or `FetchFailed` with the resolver's own sentence.
    """
    with tempfile.TemporaryDirectory(prefix="resolve-") as folder:
        wanted = Path(folder, "requirements.in")
        wanted.write_text("".join(f"{item}\n" for item in requirements), encoding="utf-8")
        output = Path(folder, "pylock.toml")
        if preinstalled:
            output.write_text(preferences(preinstalled), encoding="utf-8")
        given = environment_of_uv(environment or {})
        log(f"Resolving {len(requirements)} requirements for Python {target.python_version}")
        # Addresses go by the environment, as they may hold credentials that `ps` must not show.
        said = Said()
        try:
            status = run_uv(
                compile_wheels(target, wanted, output), said.append, check, timeout, given
            )
        except TimedOut as error:
            raise FetchFailed(
                f"The resolver found no answer within {timeout:.0f} seconds.",
                hint="The package index may be slow; build again in a while.",
            ) from error
        if status != 0:
            raise resolver_error(said.text(), target)
        text = output.read_text(encoding="utf-8")
        text = with_dependencies(text, dependencies(target, wanted, text, check, given))
    lock = parse_lock(without_credentials(text), target)
    log(f"Resolved to {len(lock.wheels)} libraries")
    return lock


def compiling(
    target: Target,
    python: str,
    wanted: PurePath,
    output: PurePath,
    style: Sequence[str] = PYLOCK,
) -> list[str]:
    """uv's arguments for locking the requirements of one file into another."""
    return [
        "pip", "compile", "--no-config", "--no-header", "--color", "never", *style,
        "--python", python, "--python-version", target.python_version,
        "--python-platform", target.platform, "--output-file", str(output), str(wanted),
    ]  # fmt: skip


def dependencies(
    target: Target,
    wanted: Path,
    lock: str,
    check: Callable[[], None],
    environment: Mapping[str, str],
) -> dict[str, list[str]]:
    """The dependencies between the libraries of a lock, out of uv's cache; empty if that lacks them."""
    output = wanted.with_name("annotated.txt")
    output.write_text(pins(lock), encoding="utf-8")
    command = compile_wheels(target, wanted, output, ASKING)
    try:
        status = run_uv(command, logger.debug, check, DEFAULT_TIMEOUT, environment)
    except TimedOut:
        return {}
    return dependencies_of(output.read_text(encoding="utf-8")) if status == 0 else {}


def compile_wheels(
    target: Target, requirements: Path, output: Path, style: Sequence[str] = PYLOCK
) -> list[str]:
    """uv's command on this machine, which takes wheels alone."""
    # Nothing is built, so any Python will do; without one named, uv looks for the target's own.
    command = compiling(target, sys.executable, requirements, output, style)
    return [find_uv_bin(), *command, "--only-binary", ":all:"]


def run_uv(
    command: Sequence[str],
    log: Callable[[str], None],
    check: Callable[[], None],
    timeout: float,
    environment: Mapping[str, str],
) -> int:
    """Run uv and log its errors alone; its exit status. Raises `TimedOut`."""
    return run_streaming(
        command, log=log, check=check, timeout=timeout, environment=environment, errors_only=True
    )


def preferences(preinstalled: Mapping[str, str]) -> str:
    """A minimal lock that uv reads as what it should prefer."""
    lines = ['lock-version = "1.0"', 'created-by = "ri-platform"']
    for name, version in sorted(preinstalled.items()):
        # What a base image says of its libraries came from outside, too; such text needs no quoting then.
        if is_name(canonicalize_name(name)) and is_version(version):
            lines += [
                "",
                "[[packages]]",
                f'name = "{canonicalize_name(name)}"',
                f'version = "{version}"',
            ]
    return "\n".join(lines) + "\n"


def environment_of_uv(extra: Mapping[str, str]) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # As ri_platform/tls.py does for downloads: left alone, uv would trust a list of its own and nothing
    # that was added to this system, such as the authority of a proxy that looks into connections.
    return {**passed, **extra, "UV_HTTP_TIMEOUT": "30", "UV_SYSTEM_CERTS": "true"}


def resolver_error(said: str, target: Target) -> BuildError:
    """uv's own sentence as one of our errors."""
    text = " ".join(
        re.sub(r"^(error|cause|hint):\s*", "", line.strip())
        for line in _ANSI.sub("", without_credentials(said)).splitlines()
        if line.strip() and not re.match(r"\s*(warning|Resolved)", line)
    )
    text = text.removeprefix("No solution found when resolving dependencies").strip(" :")
    text = text[:2000] or "The resolver failed without a word."
    if re.search(r"(?i)failed to fetch|error sending request|could not connect", text):
        return FetchFailed(
            f"The package index cannot be reached: {text}",
            hint="An operator should look at the index's address and the network; then build again.",
        )
    if re.search(r"no (usable )?wheels|Wheels are (required|not available)", text):
        return NoWheel(
            text,
            hint=f"Choose a version that has a wheel for Python {target.python_version}, "
            "or another Python version.",
        )
    hint = "Change the requirement that the sentence names, and build again."
    if "not found in the package registry" in text:
        hint = "Check the spelling of the library's name."
    return ResolutionFailed(text, hint=hint)


def without_credentials(text: str) -> str:
    """The text with the user information of every URL left out."""

    def clean(match: re.Match[str]) -> str:
        parts = urlsplit(match.group(0))
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    return re.sub(r"https?://[^\s\"'<>)]+", clean, text)


def parse_lock(text: str, target: Target, *, allow_source: bool = False) -> Lock:
    """Choose from a pylock.toml the wheel of each library that suits `target` best.

    With `allow_source`, a library without one is taken as its source distribution. Nothing in the text is
    believed: what is chosen checks itself (`images.building.locks.files`). Raises `NoWheel` naming a
    library that has neither, `ResolutionFailed` for what is no lock, `LockInvalid` for a lock that names
    what cannot be a library's file.
    """
    try:
        packages = tomllib.loads(text).get("packages", [])
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ResolutionFailed(f"The lock is not a pylock.toml: {error}.") from error
    tags = target.tags
    chosen: dict[str, LockedWheel | LockedSource] = {}
    for package in packages if isinstance(packages, list) else ():
        file = chosen_file(package, tags, allow_source=allow_source)
        if file is None:
            raise NoWheel(
                f"{canonicalize_name(package['name'])} {package['version']} has no wheel for "
                f"Python {target.python_version} on {target.platform}.",
                hint="Choose another version of it, or another Python version.",
            )
        if file.name in chosen:
            raise LockInvalid(
                f"The lock names {file.name} twice.", hint="Build the image anew, without its lock."
            )
        chosen[file.name] = file
    files = [chosen[name] for name in sorted(chosen)]
    return Lock(
        text,
        tuple(file for file in files if isinstance(file, LockedWheel)),
        tuple(file for file in files if isinstance(file, LockedSource)),
    )


def chosen_file(
    package: Mapping[str, Any], tags: Mapping[Tag, int], *, allow_source: bool
) -> LockedWheel | LockedSource | None:
    """The file of a pylock's package (PEP 751) that is to be installed, None if none can be."""
    try:
        require(is_name(canonicalize_name(package["name"])), "a library", package["name"])
        require(is_version(package["version"]), "a version", package["version"])
        wheel = best_wheel(package, tags)
        if wheel is not None or not (allow_source and "sdist" in package):
            return wheel
        return LockedSource(*file_values(package, package["sdist"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        name = package.get("name", "") if isinstance(package, dict) else ""
        raise LockInvalid(
            f"The lock does not tell name, version, address and sha256 of each file of {str(name)[:100]!a}.",
            hint="The package index has to give a sha256 of each file; an operator should look.",
        ) from error


def file_values(
    package: Mapping[str, Any], file: Mapping[str, Any]
) -> tuple[str, str, str, str, str, int | None]:
    """The raw values for `images.building.locks.files`, which checks them."""
    return (
        canonicalize_name(package["name"]),
        package["version"],
        filename_of(file),
        file["url"],
        file["hashes"]["sha256"],
        file.get("size"),
    )


def filename_of(file: Mapping[str, Any]) -> str:
    return str(file.get("name") or unquote(urlsplit(file["url"]).path.rpartition("/")[2]))


def best_wheel(package: Mapping[str, Any], tags: Mapping[Tag, int]) -> LockedWheel | None:
    """The library's wheel that fits best, None if none does."""
    ranked = []
    for wheel in package.get("wheels", []):
        filename = filename_of(wheel)
        try:
            *_, wheel_tags = parse_wheel_filename(filename)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        ranks = [tags[tag] for tag in wheel_tags if tag in tags]
        if ranks:
            ranked.append((min(ranks), filename, wheel))
    if not ranked:
        return None
    _, _, wheel = min(ranked, key=lambda item: item[:2])
    return LockedWheel(*file_values(package, wheel))
