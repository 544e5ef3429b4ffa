"""The dependencies between the libraries of a lock, and their indexes, which uv writes into no pylock.toml.

uv is asked once more, for the versions that were locked, in the format that has it as comments, `# via`
and `# from`. The answer goes into the lock where PEP 751 has a place for it: the `dependencies` and the
`tool` table of each package. It shows people where a library came from.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from packaging.utils import canonicalize_name

from images.indexes import LOCK_TOOL

# How uv begins a package, in pylock.toml and in requirements.txt with `--annotation-style line`.
_PACKAGE = re.compile(r'(?m)^\[\[packages\]\]\nname = "([^"\n]+)"\nversion = "[^"\n]+"$')
_ANNOTATED = re.compile(r"(?m)^([A-Za-z0-9._-]+)==\S+\s+# via (.+)$")

_FROM = re.compile(r"(?m)^([A-Za-z0-9._-]+)==\S+.*\n    # from (\S+)$")

# What makes the compiling of a pylock.toml the asking for annotations.
ANNOTATED = (
    "--format", "requirements.txt", "--annotation-style", "line", "--emit-index-annotation", "--quiet",
)  # fmt: skip


def pins(lock: str) -> str:
    """The lock's versions as the requirements.txt that uv is to keep to."""
    packages = tomllib.loads(lock).get("packages", [])
    return "".join(f"{package['name']}=={package['version']}\n" for package in packages)


def dependencies_of(annotated: str) -> dict[str, list[str]]:
    """Library → the libraries it asked for, both by normalized name, from what uv annotated."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, askers in _ANNOTATED.findall(annotated):
        for asker in askers.split(", "):
            # A file (`-r requirements.in`) is no library: it stands for who was asked directly.
            if " " not in asker:
                found[canonicalize_name(asker)].append(canonicalize_name(name))
    return dict(found)


def origins_of(annotated: str) -> dict[str, str]:
    """Library → the address of the index that it came from, from what uv annotated."""
    return {canonicalize_name(name): address for name, address in _FROM.findall(annotated)}


def with_annotations(
    lock: str,
    dependencies: Mapping[str, Sequence[str]],
    origins: Mapping[str, str] | None = None,
) -> str:
    """The lock's text with each package's `dependencies` (PEP 751), and the name of its index."""

    def add_annotations(match: re.Match[str]) -> str:
        name, lines = canonicalize_name(match.group(1)), [match.group(0)]
        if names := dependencies.get(name, []):
            tables = ", ".join(f'{{ name = "{needed}" }}' for needed in sorted(names))
            lines.append(f"dependencies = [{tables}]")
        if index := (origins or {}).get(name, ""):
            lines.append(f'tool = {{ {LOCK_TOOL} = {{ index = "{index}" }} }}')
        return "\n".join(lines)

    return _PACKAGE.sub(add_annotations, lock)
