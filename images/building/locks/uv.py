"""uv as the resolver: its arguments, its files, its environment, and its words."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from packaging.utils import canonicalize_name

from images.building.locks.files import is_name, is_version
from images.building.locks.interpreter import platform_arguments
from images.building.locks.target import Target
from images.building.locks.wheel_platforms import libc_refusal
from images.errors import BuildError, FetchFailed, NoWheel, ResolutionFailed
from images.indexes import Indexes, uv_table
from images.requirements import PipRequirement

# uv names the project in its sentences, and no library may be called so.
PROJECT = "ri-platform-what-is-asked-for"
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
)


def compile_arguments(
    target: Target,
    python: str,
    wanted: PurePath,
    output: PurePath,
    style: Sequence[str] = ("--format", "pylock.toml"),
    *,
    configuration: PurePath | None = None,
    complete: bool = False,
    prereleases: bool = False,
) -> list[str]:
    """uv's arguments for locking the requirements of one file into another.

    `python` tells the platform where uv has no name for it. A complete set of requirements takes nothing that
    they do not name. `prereleases` count as releases, else uv takes them where a specifier names one or
    nothing else is there.
    """
    how = ["--config-file", str(configuration)] if configuration else ["--no-config"]
    return [
        "pip", "compile", *how, "--no-header", "--color", "never", *style,
        *(["--no-deps"] if complete else []),
        *(["--prerelease", "allow"] if prereleases else []),
        "--python", python, "--python-version", target.python_version,
        *platform_arguments(target), "--output-file", str(output), str(wanted),
    ]  # fmt: skip


def write_wanted(folder: Path, requirements: Sequence[PipRequirement], indexes: Indexes) -> Path:
    """The file of requirements that uv is to read. Only a pyproject.toml can say from which index."""
    if not any(item.index for item in requirements):
        wanted = folder / "requirements.in"
        wanted.write_text(requirements_text(requirements), encoding="utf-8")
        return wanted
    sources = {item.normalized_name: item.index for item in requirements if item.index}
    lines = [
        "[project]",
        f'name = "{PROJECT}"',
        'version = "0"',
        f"dependencies = {json.dumps([str(item) for item in requirements])}",
        *(uv_table(index, "tool.uv.index") for index in indexes.every),
        "[tool.uv.sources]",
        *(f'{name} = {{ index = "{index}" }}' for name, index in sources.items()),
    ]
    wanted = folder / "pyproject.toml"
    wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return wanted


def requirements_text(requirements: Sequence[PipRequirement]) -> str:
    return "".join(f"{item}\n" for item in requirements)


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
    return {
        **passed,
        **extra,
        "UV_HTTP_TIMEOUT": str(settings.CALL_SECONDS),
        "UV_SYSTEM_CERTS": "true",
    }


def resolver_error(said: str, target: Target) -> BuildError:
    """uv's own sentence as one of our errors."""
    text = " ".join(
        re.sub(r"^(error|cause|hint):\s*", "", line.strip())
        for line in _ANSI.sub("", strip_credentials(said)).splitlines()
        if line.strip() and not re.match(r"\s*(warning|Resolved)", line)
    )
    text = text.removeprefix("No solution found when resolving dependencies").strip(" :")
    libc = libc_refusal(text, target)
    text = f"{libc} {text}".strip()[:2000] or "The resolver failed without a word."
    if re.search(r"(?i)failed to fetch|error sending request|could not connect", text):
        return FetchFailed(
            f"The package index cannot be reached: {text}",
            hint="An operator should look at the index's address and the network; then build again.",
        )
    if re.search(r"no (usable )?wheels|Wheels are (required|not available)", text):
        return NoWheel(
            text,
            hint=f"Choose a version that has a wheel for {target}, or another "
            f"{'base image' if libc else 'Python version'}.",
        )
    hint = "Change the requirement that the sentence names, and build again."
    if "not found in the package registry" in text:
        hint = "Check the spelling of the library's name."
    return ResolutionFailed(text, hint=hint)


def strip_credentials(text: str) -> str:
    """The text with the user information of every URL left out."""

    def clean(match: re.Match[str]) -> str:
        parts = urlsplit(match.group(0))
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    return re.sub(r"https?://[^\s\"'<>)]+", clean, text)
