"""The wheels of one layer, installed one after the other: of files at one path, the last one's stays."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from packaging.utils import canonicalize_name

from images.building.layers.inflation import InflateError
from images.building.layers.notes import Note
from images.building.layers.paths import HiddenFiles
from images.building.layers.tar import LayerWriter
from images.building.layers.wheel import Environment, WheelInstallation
from images.building.layers.wheel_archive import refuse_crowded, refuse_dangerous
from images.errors import WheelInvalid


@contextmanager
def open_wheel(
    wheel: Path, environment: Environment, writer: LayerWriter
) -> Iterator[WheelInstallation]:
    """The wheel, its archive looked at, until it is written."""
    with as_invalid(wheel):
        refuse_crowded(wheel)
        archive = zipfile.ZipFile(wheel)
    with archive:
        with as_invalid(wheel):
            refuse_dangerous(wheel, archive)
            installation = WheelInstallation(wheel, archive, environment, writer)
        yield installation


@contextmanager
def as_invalid(wheel: Path) -> Iterator[None]:
    """Turn whatever reading a strange archive raises into `WheelInvalid`."""
    try:
        yield
    except WheelInvalid:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        InflateError,
        struct.error,
        EOFError,
        ValueError,
        LookupError,
        AssertionError,
        RuntimeError,
    ) as error:
        told = (str(error) or type(error).__name__).replace(str(wheel), wheel.name).rstrip(".")
        raise WheelInvalid(
            f"{wheel.name} is not a wheel that can be installed: {told}.",
            hint="Choose another version of this library.",
        ) from error


def install_wheels(
    wheels: Sequence[Path], environment: Environment, writer: LayerWriter
) -> tuple[Note, ...]:
    """Add everything that installing `wheels` one after the other writes; of one path, the last one's stays.

    Returns what is to be told of them. Raises `WheelInvalid` naming wheel and member.
    """
    last: dict[str, int] = {}
    if len(wheels) > 1:
        # Opened once more, as there may be more of them than files that a process may hold open.
        for number, wheel in enumerate(wheels):
            with open_wheel(wheel, environment, writer) as one:
                last |= dict.fromkeys(one.items, number)
    titles: list[str] = []
    hashes: list[dict[str, str]] = []
    notes: list[Note] = []
    for number, wheel in enumerate(wheels):
        writer.owner = number
        writer.library = canonicalize_name(wheel.name.partition("-")[0])
        with open_wheel(wheel, environment, writer) as one, as_invalid(wheel):
            hidden = {path for path in one.items if last.get(path, number) != number}
            hashes.append(one.write(hidden))
            titles.append(one.contents.title)
            notes += [Note(text) for text in one.quirks]
    return (*notes, *(item.note for item in hidden_within(titles, hashes, last)))


def hidden_within(
    titles: Sequence[str], hashes: Sequence[Mapping[str, str]], last: Mapping[str, int]
) -> list[HiddenFiles]:
    """The files of a layer's wheels that are another's there: hashes in hex, and each path's last wheel."""
    found: dict[tuple[int, int], list[str]] = {}
    for number, own in enumerate(hashes):
        for path, sha256 in own.items():
            by = last.get(path, number)
            if hashes[by][path] != sha256:
                found.setdefault((number, by), []).append(path)
    return [
        HiddenFiles(titles[number], titles[by], tuple(sorted(paths)))
        for (number, by), paths in sorted(found.items())
    ]
