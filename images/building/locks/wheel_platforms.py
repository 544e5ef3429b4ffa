"""The C library that a library's wheels need, told beside that of the base image.

uv names the platforms of the wheels that there are. Their tags are those of PEP 600 and PEP 656.
"""

from __future__ import annotations

import re

from images.building.locks.target import LEGACY_NAMES, Target

_AVAILABLE = re.compile(
    r"Wheels are available for `([^`]+)`(?: \(v([^)\s]+)\))? on the following platforms?: "
    r"(`[^`]+`(?:, `[^`]+`)*)"
)
_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_(.+)")
_LEGACY = re.compile(r"(manylinux\d+)_(.+)")
_MUSL = re.compile(r"musllinux_(\d+)_(\d+)_(.+)")
_LEGACY_MINORS = {name: minor for minor, name in LEGACY_NAMES.items()}


def libc_refusal(text: str, target: Target) -> str:
    """Of the libraries in uv's words that have wheels, but none for this C library: what each needs."""
    found = []
    for name, version, listed in _AVAILABLE.findall(text):
        needed = needs(re.findall(r"`([^`]+)`", listed), target)
        if needed:
            found.append(f"{f'{name} {version}'.strip()} {needed}")
    if not found:
        return ""
    return f"This base image has {target.libc}. " + " ".join(found)


def needs(platforms: list[str], target: Target) -> str:
    """What the wheels of these platform tags need that the target does not have; empty if it has all."""
    own = {
        kind: sorted(version for version, machine in of_kind if machine == target.machine)
        for kind, of_kind in versions_of(platforms).items()
    }
    same, other = ("musl", "glibc") if target.is_musl else ("glibc", "musl")
    if own[same]:
        lowest = own[same][0]
        if lowest <= target.libc_version:
            return ""
        major, minor = lowest
        return f"has wheels for {same} {major}.{minor} or later alone."
    if own[other]:
        return f"has wheels for {other} alone, and none for {same}."
    return f"has no wheel for Linux on {target.machine}."


def versions_of(platforms: list[str]) -> dict[str, list[tuple[tuple[int, int], str]]]:
    """C library → the versions that platform tags name, each with its machine."""
    found: dict[str, list[tuple[tuple[int, int], str]]] = {"glibc": [], "musl": []}
    for platform in platforms:
        if match := _GLIBC.fullmatch(platform):
            found["glibc"].append(((int(match[1]), int(match[2])), match[3]))
        elif match := _MUSL.fullmatch(platform):
            found["musl"].append(((int(match[1]), int(match[2])), match[3]))
        elif (match := _LEGACY.fullmatch(platform)) and match[1] in _LEGACY_MINORS:
            found["glibc"].append(((2, _LEGACY_MINORS[match[1]]), match[2]))
    return found
