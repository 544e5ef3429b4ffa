"""Notes on a layer: sentences for the log of each build whose image has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """A sentence. `libraries`, by normalized name, are those whose entry in the list of libraries tells it
    too."""

    text: str
    libraries: tuple[str, ...] = ()


def as_json(notes: Iterable[Note]) -> list[list[object]]:
    """`[text, [library, …]]` each, as processes and the database pass them on."""
    return [[note.text, list(note.libraries)] for note in notes]


def from_json(values: Sequence[Sequence[object]]) -> tuple[Note, ...]:
    return tuple(Note(str(text), tuple(libraries)) for text, libraries in values)  # type: ignore[arg-type]
