"""The target of a lock, and the wheels that run there."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags


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
