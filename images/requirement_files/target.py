"""The image that requirements are for. Its Python and machine decide markers, never those of the server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.markers import Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet

# Of Linux; Windows and macOS call the second one AMD64 and arm64.
MACHINES = ("x86_64", "aarch64")
# Of one version of Python; none has had more.
RELEASES = range(40)


@dataclass(frozen=True)
class Target:
    """CPython of this version, as `3.11`, on Linux."""

    python_version: str
    machine: str = "x86_64"

    @cached_property
    def full_version(self) -> str:
        """The first release of the version, which is what uv resolves for."""
        return f"{self.python_version}.0"

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """Every variable of PEP 508, so that none comes from this process."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full_version,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full_version,
            "python_version": self.python_version,
            "sys_platform": "linux",
            "extra": "",
        }

    def holds(self, marker: Marker, extras: Collection[str] = ()) -> bool:
        """Tell whether a marker holds for one of the extras, or for none of them."""
        return any(marker.evaluate({**self.environment, "extra": extra}) for extra in ("", *extras))

    def holds_in_lock(
        self, marker: Marker, extras: Collection[str], groups: Collection[str]
    ) -> bool:
        """The same in a lock (PEP 751), where extras and groups are sets."""
        chosen = {"extras": frozenset(extras), "dependency_groups": frozenset(groups)}
        without_extra = {key: text for key, text in self.environment.items() if key != "extra"}
        return marker.evaluate({**without_extra, **chosen}, context="lock_file")

    def satisfies(self, requires_python: str | SpecifierSet) -> bool:
        """Tell whether the image's Python fits. Raises `ValueError` for what is no specifier.

        One release of the version is enough: 3.11 has `>=3.11.4`, though 3.11.0 has not.
        """
        try:
            wanted = SpecifierSet(str(requires_python))
        except InvalidSpecifier as error:
            raise ValueError(
                f"{requires_python} is not a version specifier, like >=3.10."
            ) from error
        return any(wanted.contains(f"{self.python_version}.{micro}") for micro in RELEASES)
