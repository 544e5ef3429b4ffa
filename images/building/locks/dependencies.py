"""The dependencies between the libraries of a lock, which uv does not write into pylock.toml.

uv is asked once more, out of its cache and for the versions that were locked, in the format that has it
as `# via` comments, and the answer goes into the lock where PEP 751 has a place for it: the `dependencies` of
each package. It shows people where a library came from; no build depends on it.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from packaging.utils import canonicalize_name

# How uv begins a package, in pylock.toml and in requirements.txt with `--annotation-style line`.
_PACKAGE = re.compile(r'(?m)^\[\[packages\]\]\nname = "([^"\n]+)"\nversion = "[^"\n]+"$')
_ANNOTATED = re.compile(r"(?m)^([A-Za-z0-9._-]+)==\S+\s+# via (.+)$")

# What makes the compiling of a pylock.toml the asking for annotations.
ASKING = ("--offline", "--format", "requirements.txt", "--annotation-style", "line", "--quiet")


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


def with_dependencies(lock: str, dependencies: Mapping[str, Sequence[str]]) -> str:
    """The lock's text with each package's `dependencies` (PEP 751)."""

    def add_dependencies(match: re.Match[str]) -> str:
        names = dependencies.get(canonicalize_name(match.group(1)), [])
        if not names:
            return match.group(0)
        tables = ", ".join(f'{{ name = "{name}" }}' for name in sorted(names))
        return f"{match.group(0)}\ndependencies = [{tables}]"

    return _PACKAGE.sub(add_dependencies, lock)
