"""Requirements as people have them: strings, pairs, a requirements.txt or a pylock.toml."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed

from ri_platform_sdk.errors import InvalidRequest

Pair = tuple[str, str]
Requirements = Path | Iterable[str | Pair | Mapping[str, str]]
_COMMENT = re.compile(r"(^|\s)#.*")
_HASH = re.compile(r"\s--hash[= ]\S+")


def wire_requirements(
    given: Requirements, python_version: str | None = None
) -> list[dict[str, str]]:
    """Requirements as the API takes them; a `Path` is read as a file.

    Raises `InvalidRequest` for what is no requirement, with its line where it came from a file.
    """
    if isinstance(given, os.PathLike):
        return requirements_of_file(Path(given), python_version)
    if isinstance(given, str):
        raise InvalidRequest("Give requirements as a list, or a file as a pathlib.Path.")
    return [wire_requirement(item, python_version) for item in given]


def wire_requirement(
    item: str | Pair | Mapping[str, str], python_version: str | None = None
) -> dict[str, str]:
    """One requirement: `"numpy>=2"`, `("numpy", ">=2")`, or what `Client.pip_requirement` gives."""
    if isinstance(item, str):
        try:
            parsed = Parsed(item)
        except InvalidRequirement as error:
            raise InvalidRequest(f"{item!r} is not a requirement, like numpy>=2.") from error
        if parsed.url:
            raise InvalidRequest(f"{item!r} is a URL; name the library and its version.")
        return wire(parsed)
    if isinstance(item, tuple):
        return {"name": item[0], "versionSpecifier": item[1]}
    return {"name": item["name"], "versionSpecifier": item.get("versionSpecifier", "")}


def wire(parsed: Parsed) -> dict[str, str]:
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    return {"name": parsed.name + extras, "versionSpecifier": str(parsed.specifier)}


def wire_packages(given: Iterable[str | Pair | Mapping[str, str]] | None) -> list[dict[str, str]]:
    """OS packages as the API takes them: `"libgomp1"`, `"curl=7.88"`, or a pair."""
    found = []
    for item in given or ():
        if isinstance(item, str):
            name, _, version = item.partition("=")
            found.append({"name": name.strip(), "versionSpecifier": version.strip()})
        else:
            found.append(wire_requirement(item))
    return found


def requirements_of_file(path: Path, python_version: str | None = None) -> list[dict[str, str]]:
    """What a requirements.txt (`-r` included), or a pylock.toml (PEP 751) asks for.

    Hashes are left out, as the server locks them by itself; what a marker rules out is left out, too.
    """
    if path.suffix == ".toml":
        return requirements_of_lock(path)
    return list(lines_of(path, python_version, set()))


def requirements_of_lock(path: Path) -> list[dict[str, str]]:
    try:
        packages: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8")).get("packages", [])
        return [
            {"name": item["name"], "versionSpecifier": f"=={item['version']}"} for item in packages
        ]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise InvalidRequest(f"{path} is not a pylock.toml: {error}.") from error


def lines_of(path: Path, python_version: str | None, seen: set[Path]) -> Iterable[dict[str, str]]:
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    text = path.read_text("utf-8").replace("\\\r\n", " ").replace("\\\n", " ")
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _HASH.sub("", _COMMENT.sub("", raw)).strip()
        if not line:
            continue
        included = re.fullmatch(r"(?:-r|--requirement)[ =]?\s*(\S+)", line)
        if included:
            yield from lines_of(path.parent / included.group(1), python_version, seen)
            continue
        if line.startswith("-"):
            raise InvalidRequest(
                f"{path}, line {number}: {line.split()[0]} is an option that cannot be taken over."
            )
        try:
            parsed = Parsed(line)
        except InvalidRequirement as error:
            raise InvalidRequest(
                f"{path}, line {number}: {line!r} is not a requirement."
            ) from error
        environment = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
        if python_version:
            environment["python_version"] = python_version
        if parsed.marker is None or parsed.marker.evaluate(environment):
            yield wire_requirement(
                f"{parsed.name}{'[' + ','.join(sorted(parsed.extras)) + ']' if parsed.extras else ''}"
                f"{parsed.specifier}" + (f" @ {parsed.url}" if parsed.url else "")
            )
