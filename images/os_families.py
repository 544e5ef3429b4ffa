"""The families of operating systems whose packages an image can have: one row for each, `FAMILIES`.

Values alone, without Django, so that the build engine, SBOM and REST can read the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from images.requirements import OSPackage

Command = list[str]
# What every package system leaves behind.
LEFTOVERS = ("var/cache/ldconfig/aux-cache", "var/log/*.log", "run/*", "tmp/*", "var/tmp/*")
# Whether a name is a package's, the package system decides; it must not guess patterns.
APT = (
    "apt-get", "-o", "APT::Cmd::Pattern-Only=true", "-o", "Dpkg::Use-Pty=0",
    "-o", "Acquire::Retries=3", "-y", "-q",
)  # fmt: skip
DNF = ("dnf", "-y", "install", "--setopt=install_weak_deps=False", "--nodocs")

REPOQUERY = (
    "dnf", "-q", "repoquery", "--arch", "x86_64", "--queryformat", "@%{name}\\n%{provides}\\n",
)  # fmt: skip


@dataclass(frozen=True)
class OSFamily:
    """Systems that share a package system; `ids` are their values of ID in os-release(5).

    `leftovers` are patterns of files below the root that no image needs. `listing` is the command that
    lists the installed packages, a `name|version` a line; it is empty where the worker reads dpkg's status
    file. `libraries` is the command that lists the packages to be had, each as `@name` and what it provides
    in lines of their own; it is empty where the worker reads the distribution's index of files. `purl_type`
    is the type of a package URL, `package_type` the one of the REST API.
    """

    name: str
    ids: frozenset[str]
    install: Callable[[Sequence[OSPackage]], list[Command]]
    leftovers: tuple[str, ...]
    listing: tuple[str, ...]
    libraries: tuple[str, ...]
    purl_type: str
    package_type: str


def apt_install(packages: Sequence[OSPackage]) -> list[Command]:
    wanted = [str(package) for package in packages]
    return [[*APT, "update"], [*APT, "install", "--no-install-recommends", "--", *wanted]]


def dnf_install(packages: Sequence[OSPackage]) -> list[Command]:
    return [[*DNF, *(f"{p.name}-{p.version}" if p.version else p.name for p in packages)]]


FAMILIES = {
    family.name: family
    for family in (
        OSFamily(
            name="debian",
            ids=frozenset({"debian", "ubuntu"}),
            install=apt_install,
            # Package lists, downloaded packages, what apt derives from the lists, and logs: 30 MB.
            leftovers=(
                *LEFTOVERS,
                "var/lib/apt/lists/*",
                "var/cache/apt/*.bin",
                "var/cache/apt/archives/*.deb",
                "var/cache/debconf/*-old",
                "var/lib/dpkg/*-old",
                "var/log/apt/*",
            ),
            listing=(),
            libraries=(),
            purl_type="deb",
            package_type="PACKAGE_TYPE_APT",
        ),
        OSFamily(
            name="rhel",
            ids=frozenset({"rhel", "fedora", "centos", "rocky", "almalinux"}),
            install=dnf_install,
            leftovers=(*LEFTOVERS, "var/cache/dnf/*", "var/lib/dnf/history*", "var/log/dnf*"),
            libraries=REPOQUERY,
            listing=("rpm", "-qa", "--queryformat", "%{NAME}|%{VERSION}-%{RELEASE}\\n"),
            purl_type="rpm",
            package_type="PACKAGE_TYPE_ROCKYLINUX",
        ),
    )
}


def family_of(name: str, ids: Iterable[str] = ()) -> OSFamily | None:
    """The family of a base image: the one that was recorded, else the one of its system's ids; or None."""
    if name in FAMILIES:
        return FAMILIES[name]
    found = set(ids)
    return next((family for family in FAMILIES.values() if found & family.ids), None)
