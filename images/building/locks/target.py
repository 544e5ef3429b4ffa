"""The target of a lock, and the wheels that run there."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags

# What a base image is taken for that does not tell its C library.
DEFAULT_PLATFORM = "x86_64-manylinux_2_28"
# Names from before PEP 600, by the glibc they stand for.
LEGACY_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True)
class Target:
    """The target of a lock: a Python minor version, and a platform: machine, and C library as tags name it.

    `x86_64-manylinux_2_36` is glibc 2.36 (PEP 600), `x86_64-musllinux_1_2` musl 1.2 (PEP 656).
    """

    python_version: str
    platform: str = DEFAULT_PLATFORM

    @property
    def machine(self) -> str:
        return self.platform.partition("-")[0]

    @property
    def is_musl(self) -> bool:
        return "-musllinux_" in self.platform

    @property
    def libc_version(self) -> tuple[int, int]:
        major, minor = self.platform.split("_")[-2:]
        return int(major), int(minor)

    @property
    def libc(self) -> str:
        """The C library in words: `glibc 2.36`."""
        major, minor = self.libc_version
        return f"{'musl' if self.is_musl else 'glibc'} {major}.{minor}"

    def __str__(self) -> str:
        return f"Python {self.python_version} on {self.machine} with {self.libc}"

    @property
    def platform_tags(self) -> list[str]:
        """Wheel platform tags that run there, best first (PEP 600, PEP 656)."""
        major, newest = self.libc_version
        tags = []
        if self.is_musl:
            tags = [f"musllinux_{major}_{minor}_{self.machine}" for minor in range(newest, -1, -1)]
        else:
            for minor in range(newest, 4, -1):
                tags.append(f"manylinux_{major}_{minor}_{self.machine}")
                if minor in LEGACY_NAMES:
                    tags.append(f"{LEGACY_NAMES[minor]}_{self.machine}")
        return [*tags, f"linux_{self.machine}"]

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
