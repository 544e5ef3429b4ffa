"""Recipes of base images: a minimal suite of Debian or Ubuntu, and besides Python, its tools, and a user.

They are those of the official Python images: pip, and up to Python 3.11 setuptools, with the pkg_resources
that libraries of that time import. Unlike those, the image runs as a user without rights.
"""

from __future__ import annotations

from dataclasses import dataclass

from images.building.bases.distributions import DEBIAN, UBUNTU, Distribution
from images.building.user import USER, User
from images.errors import BaseImageUnusable

# suite → the Python that its distribution ships in it
SUITES = {
    "bullseye": "3.9",
    "jammy": "3.10",
    "bookworm": "3.11",
    "noble": "3.12",
    "trixie": "3.13",
    "forky": "3.14",
}
OF_UBUNTU = ("jammy", "noble")
# Counts up whenever a recipe gives other bytes.
RECIPE = 2
PACKAGES = ("python3", "python3-venv", "ca-certificates", "libgomp1", "libstdc++6")
# setuptools in Debian has no pkg_resources from forky on, and the official images none from Python 3.12 on.
INSTALLERS = {
    "bullseye": ("python3-pip", "python3-setuptools"),
    "jammy": ("python3-pip", "python3-setuptools"),
    "bookworm": ("python3-pip", "python3-setuptools"),
    "noble": ("python3-pip",),
    "trixie": ("python3-pip",),
    "forky": ("python3-pip",),
}
WITHOUT_PIP, AS_ROOT = "without-pip", "as-root"


@dataclass(frozen=True)
class Recipe:
    """A suite, and whether its image has pip and a user. As text: `bookworm,without-pip,as-root`."""

    suite: str
    has_pip: bool = True
    user: User | None = USER

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Raises `BaseImageUnusable` for what is none."""
        suite, *options = text.split(",")
        if suite not in SUITES:
            raise BaseImageUnusable(
                f"{suite!r} is no suite of Debian or Ubuntu that is known here.",
                hint=f"Use one of {', '.join(sorted(SUITES))}.",
            )
        for option in options:
            if option not in (WITHOUT_PIP, AS_ROOT):
                raise BaseImageUnusable(
                    f"{option!r} is no option of a suite.",
                    hint=f"Use {suite}, or {suite} with ,{WITHOUT_PIP} or ,{AS_ROOT} or both behind it.",
                )
        return cls(suite, WITHOUT_PIP not in options, None if AS_ROOT in options else USER)

    def __str__(self) -> str:
        options = [] if self.has_pip else [WITHOUT_PIP]
        return ",".join([self.suite, *options, *([] if self.user else [AS_ROOT])])

    @property
    def distribution(self) -> Distribution:
        return UBUNTU if self.suite in OF_UBUNTU else DEBIAN

    @property
    def title(self) -> str:
        """The suite with its distribution's name: `Debian bookworm`."""
        return f"{self.distribution.title} {self.suite}"

    @property
    def packages(self) -> tuple[str, ...]:
        installers = INSTALLERS[self.suite] if self.has_pip else ()
        return (*PACKAGES, *self.distribution.packages, *installers)
