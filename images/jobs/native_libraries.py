"""The native libraries of an image, by the reports on its base image and its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from images.building.native.linking import MissingLibrary, missing_libraries
from images.building.native.report import NativeReport, provided_by
from images.building.pipeline import KeyedLayer
from images.jobs import known_layers
from images.models import BaseImage
from ri_platform.memory import Memory

MISSING: Memory[Sequence[MissingLibrary]] = Memory(16)


def missing_in(
    base: BaseImage, keyed: Sequence[KeyedLayer], log: Callable[[str], None]
) -> list[MissingLibrary]:
    """What an image of these layers would lack, told to its log too; nothing where a report is missing."""
    # Digests tell the layers' reports, and the base's own may be made anew.
    key = (bytes(base.native), tuple(item.layer.digest for item in keyed))
    try:
        found = MISSING.recall(key, lambda: look_for_missing(base, keyed))
    except ReportUnknown as unknown:
        log(f"Native libraries are not looked at: those of {unknown} are not known.")
        return []
    for missing in found:
        log(sentence(missing))
    return list(found)


class ReportUnknown(Exception):
    """Nobody has looked at the native libraries of what it names."""


def look_for_missing(base: BaseImage, keyed: Sequence[KeyedLayer]) -> Sequence[MissingLibrary]:
    """Raises `ReportUnknown`."""
    below = NativeReport.unpack(bytes(base.native))
    if below is None:
        raise ReportUnknown(f"the base image {base}")
    layers = reports_of(keyed)
    for item in keyed:
        if item.layer.digest not in layers:
            raise ReportUnknown(item.title)
    return missing_libraries([below], list(layers.values()))


def sentence(item: MissingLibrary) -> str:
    what = f"{item.soname} with {', '.join(item.versions)}" if item.versions else item.soname
    optional = (
        " It may be optional: most modules of the library do without." if item.is_optional else ""
    )
    return f"{item.library} needs {what}, which is not in the image ({item.needed_by}).{optional}"


def provisions(root: BaseImage, keyed: Sequence[KeyedLayer]) -> bytes:
    """The packed report on a base image that is made of another one and layers; empty if one is unknown."""
    below, layers = NativeReport.unpack(bytes(root.native)), reports_of(keyed)
    if below is None or any(item.layer.digest not in layers for item in keyed):
        return b""
    return NativeReport((), provided_by([below, *layers.values()])).pack()


def reports_of(keyed: Iterable[KeyedLayer]) -> dict[str, NativeReport]:
    """Digest → the report on a layer; layers that nobody looked at are left out."""
    packed = known_layers.native_of([item.made for item in keyed])
    reports = {digest: NativeReport.unpack(data) for digest, data in packed.items()}
    return {digest: report for digest, report in reports.items() if report is not None}
