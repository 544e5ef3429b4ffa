"""The dependencies between the libraries of a lock, and their indexes, which uv writes into no pylock.toml.

uv is asked once more, for the versions that were locked, in the format that has it as comments, `# via`
and `# from`. The answer goes into the lock where PEP 751 has a place for it: the `dependencies` and the
`tool` table of each package. It shows people where a library came from.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from packaging.utils import canonicalize_name

from images.building.layers.notes import Note
from images.indexes import LOCK_TOOL
from images.lock_packages import packages_of

# How uv begins a package, in pylock.toml and in requirements.txt with `--annotation-style line`.
_PACKAGE = re.compile(r'(?m)^\[\[packages\]\]\nname = "([^"\n]+)"\nversion = "[^"\n]+"$')
_ANNOTATED = re.compile(r"(?m)^([A-Za-z0-9._-]+)==\S+\s+# via (.+)$")

_FROM = re.compile(r"(?m)^([A-Za-z0-9._-]+)==\S+.*\n    # from (\S+)$")

# What uv says on the way, of a release that was yanked (PEP 592).
_YANKED = re.compile(r'warning: `([A-Za-z0-9._-]+)==[^`]+` is yanked \(reason: "(.*)"\)')
MAX_REASON = 300

# What makes the compiling of a pylock.toml the asking for annotations.
ANNOTATED = (
    "--format", "requirements.txt", "--annotation-style", "line", "--emit-index-annotation", "--quiet",
)  # fmt: skip


def pins(lock: str) -> str:
    """The lock's versions as the requirements.txt that uv is to keep to."""
    packages = packages_of(lock)
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


def yanked_by(lines: Iterable[str]) -> dict[str, str]:
    """Library → why its release was yanked, empty if no reason is given, from what uv said."""
    found = (_YANKED.match(line) for line in lines)
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def yanks_in(lock: str) -> dict[str, str]:
    """Library → why its release was yanked, as a lock tells."""
    if "yanked" not in lock:
        return {}  # Reading a lock of megabytes takes longer than looking for the word.
    return {
        canonicalize_name(package["name"]): str(told["yanked"])
        for package in packages_of(lock)
        if "yanked" in (told := package.get("tool", {}).get(LOCK_TOOL, {}))
    }


def yank_notes(lock: str, versions: Mapping[str, str]) -> list[Note]:
    """A sentence for each yanked release among these, version by library."""
    notes = []
    for name, reason in yanks_in(lock).items():
        if name in versions:
            why = f": {reason.rstrip('.')}." if reason else ", without a reason."
            notes.append(Note(f"{name} {versions[name]} was yanked from its index{why}", (name,)))
    return notes


def annotate_lock(
    lock: str,
    dependencies: Mapping[str, Sequence[str]],
    origins: Mapping[str, str] | None = None,
    yanked: Mapping[str, str] | None = None,
) -> str:
    """The lock's text with each package's `dependencies` (PEP 751), the name of its index, and its yank."""

    def add_annotations(match: re.Match[str]) -> str:
        name, lines = canonicalize_name(match.group(1)), [match.group(0)]
        if names := dependencies.get(name, []):
            tables = ", ".join(f'{{ name = "{needed}" }}' for needed in sorted(names))
            lines.append(f"dependencies = [{tables}]")
        told = {"index": (origins or {}).get(name, "")}
        if yanked and name in yanked:
            told["yanked"] = "".join(filter(str.isprintable, yanked[name]))[:MAX_REASON]
        values = ", ".join(
            # JSON's strings are TOML's, for what can be printed.
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in told.items()
            if value or key == "yanked"
        )
        if values:
            lines.append(f"tool = {{ {LOCK_TOOL} = {{ {values} }} }}")
        return "\n".join(lines)

    return _PACKAGE.sub(add_annotations, lock)
