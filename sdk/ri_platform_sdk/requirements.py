"""Requirements as Python values: strings and pairs. Files are read by the server."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed

from ri_platform_sdk.errors import InvalidRequest

Pair = tuple[str, str]
Requirements = Iterable[str | Pair | Mapping[str, Any]]


def wire_requirements(given: Requirements) -> list[dict[str, Any]]:
    """Requirements as the API takes them. Raises `InvalidRequest` for what is no requirement."""
    if isinstance(given, os.PathLike):
        raise InvalidRequest(f"{given} is a file; give it as files=[…].")
    if isinstance(given, str):
        raise InvalidRequest("Give requirements as a list, and files as files=[…].")
    return [wire_requirement(item) for item in given]


def wire_requirement(item: str | Pair | Mapping[str, Any]) -> dict[str, Any]:
    """One requirement: `"numpy>=2"`, `("numpy", ">=2")`, or what `Client.pip_requirement` gives."""
    if isinstance(item, str):
        try:
            parsed = Parsed(item)
        except InvalidRequirement as error:
            raise InvalidRequest(f"{item!r} is not a requirement, like numpy>=2.") from error
        if parsed.url:
            raise InvalidRequest(f"{item!r} is a URL; name the library and its version.")
        if parsed.marker:
            raise InvalidRequest(
                f"{item!r} has a marker, which is decided for the image; give it in a file."
            )
        extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
        return {"name": parsed.name + extras, "versionSpecifier": str(parsed.specifier)}
    if isinstance(item, tuple):
        return {"name": item[0], "versionSpecifier": item[1]}
    rest = {key: item[key] for key in ("index", "hashes") if item.get(key)}
    return {"name": item["name"], "versionSpecifier": item.get("versionSpecifier", ""), **rest}


def wire_packages(given: Iterable[str | Pair | Mapping[str, str]]) -> list[dict[str, Any]]:
    """OS packages as the API takes them: `"libgomp1"`, `"curl=7.88"`, or a pair."""
    found = []
    for item in given:
        if isinstance(item, str):
            name, _, version = item.partition("=")
            found.append({"name": name.strip(), "versionSpecifier": version.strip()})
        else:
            found.append(wire_requirement(item))
    return found
