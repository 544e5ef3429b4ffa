"""Differences between an image's requirement files and an alteration's, one unified diff a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff

from images.models import Alteration, RequirementFiles
from images.requirement_files.configured import TYPED
from images.spec import ImageSpec

# Of both texts together. Locks are longer; what changes in them is told library by library.
MAX_LINES = 2_000


@dataclass(frozen=True)
class DiffLine:
    """A line with its sign: `+`, `-` or a blank; `@` begins a part."""

    sign: str
    text: str

    @property
    def element(self) -> str:
        """The element of HTML that says what became of the line."""
        return {"+": "ins", "-": "del"}.get(self.sign, "span")


@dataclass(frozen=True)
class FileDifference:
    """What changes in one file; no lines if it is too long to be compared here."""

    name: str
    kind: str
    lines: tuple[DiffLine, ...]


def file_differences(proposed: Alteration) -> list[FileDifference]:
    """The files that differ between what an image was asked for with and an alteration of it."""
    image = proposed.image
    before = texts(image.requirement_files, image.spec)
    after = texts(proposed.requirement_files, proposed.spec)
    return [
        difference(name, before.get(name, ""), after.get(name, ""))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def texts(files: RequirementFiles | None, spec: ImageSpec) -> Mapping[str, str]:
    """Files by name. Libraries that were named one by one are as good as typed."""
    if files is None:
        return {TYPED: "".join(f"{wanted}\n" for wanted in spec.pip_requirements)}
    return {file.name: file.text for file in files.supplied.files}


def difference(name: str, before: str, after: str) -> FileDifference:
    kind = "changed" if before and after else "added" if after else "removed"
    left, right = before.splitlines(), after.splitlines()
    if len(left) + len(right) > MAX_LINES:
        return FileDifference(name, kind, ())
    # The first two lines name the files, which stand above.
    lines = list(unified_diff(left, right, lineterm=""))[2:]
    return FileDifference(name, kind, tuple(DiffLine(line[:1], line) for line in lines))
