"""Sources of base images: the kinds there are, and the text that a row keeps of one.

Values alone. `images.building.bases.source` fetches what they name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ri_platform.errors import Invalid

SEPARATOR = " | "


@dataclass(frozen=True)
class Kind:
    """A kind of source, and the words in which people are asked for one."""

    word: str
    metavar: str
    help: str
    # Files are those of the worker's machine, which only its operator may name.
    is_file: bool = False
    # The catalogue's sources are not imported: the worker builds them.
    is_imported: bool = True

    @property
    def may_be_asked_for(self) -> bool:
        """Whether the admin's form takes it."""
        return self.is_imported and not self.is_file


REGISTRY = Kind("registry", "REFERENCE", "for example python:3.11-slim")
LAYOUT = Kind("layout", "PATH", "an OCI image layout, folder or tar", is_file=True)
ROOTFS = Kind("rootfs", "PATH", "a root file system as a tar, also .gz, .xz or .zst", is_file=True)
SUITE = Kind(
    "suite",
    "NAME",
    "a suite of Debian or Ubuntu: bookworm, noble, …, with ,without-pip or ,as-root behind it",
)
# It builds on the current base image of the use case `all`.
CATALOGUE = Kind("catalogue", "USE_CASE", "a use case of the catalogue", is_imported=False)
KINDS = {kind.word: kind for kind in (REGISTRY, LAYOUT, ROOTFS, SUITE, CATALOGUE)}


@dataclass(frozen=True)
class Source:
    """A place that a base image comes from, and the source to turn to where it cannot be had.

    As text: `registry:python:3.11-slim-bookworm | suite:bookworm`.
    """

    kind: Kind
    name: str
    alternative: Source | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The source that a text names. Raises `Invalid` where it names none."""
        first, separator, rest = text.partition(SEPARATOR)
        word, _, name = first.strip().partition(":")
        kind = KINDS.get(word)
        if kind is None or not name:
            *words, last = (f"{word}:" for word in KINDS)
            raise Invalid(
                f"{first[:200]!r} is not a source of base images.",
                hint=f"Use {', '.join(words)} or {last}, each followed by its name.",
                field="source",
            )
        source = cls(kind, name, cls.parse(rest) if separator else None)
        if source.alternative and CATALOGUE in source.kinds:
            raise Invalid(
                "A base image of the catalogue has no alternative.",
                hint=f"Give {CATALOGUE.word}: and its use case alone.",
                field="source",
            )
        return source

    def __str__(self) -> str:
        first = f"{self.kind.word}:{self.name}"
        return f"{first}{SEPARATOR}{self.alternative}" if self.alternative else first

    @property
    def kinds(self) -> list[Kind]:
        """Its own kind, and those of its alternatives."""
        return [self.kind, *(self.alternative.kinds if self.alternative else [])]

    @property
    def has_moving_tag(self) -> bool:
        """Whether it is a tag of a registry and nothing else.

        A source with an alternative may have used that, and a digest never moves.
        """
        return self.kind is REGISTRY and self.alternative is None and "@" not in self.name
