"""A spec: what an image was asked to contain, as its JSON columns hold it, and as values again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from images.requirements import OSPackage, PipRequirement


def spec_of(
    image_type: str,
    python_version: str,
    pip_requirements: Iterable[PipRequirement],
    os_packages: Iterable[OSPackage],
    *,
    allow_source: bool,
) -> dict[str, Any]:
    """The columns of `ManagedImage` that say what it is to contain."""
    return {
        "image_type": image_type,
        "python_version": python_version,
        "pip_requirements": requirements_as_json(pip_requirements),
        "os_packages": [asdict(item) for item in os_packages],
        "allow_source": allow_source,
    }


def requirements_as_json(requirements: Iterable[PipRequirement]) -> list[dict[str, Any]]:
    """As columns hold them. JSON knows no tuples; as lists, a spec equals the one that was stored."""
    return [{**asdict(item), "extras": list(item.extras)} for item in requirements]


def pip_requirements_of(spec: Mapping[str, Any]) -> list[PipRequirement]:
    return [
        PipRequirement(item["name"], item["specifier"], tuple(item["extras"]))
        for item in spec["pip_requirements"]
    ]


def allows_source(spec: Mapping[str, Any]) -> bool:
    """Whether libraries may be built from source; specs of before that was possible do not say."""
    return bool(spec.get("allow_source", False))


def os_packages_of(spec: Mapping[str, Any]) -> list[OSPackage]:
    return [OSPackage(item["name"], item["version"]) for item in spec["os_packages"]]
