"""Layers that the instance remembers: the blob of each key, and a repository that holds it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from django.db.models import Case, Q, QuerySet, When

from images.building.layers.notes import as_json
from images.building.pipeline import MadeLayer
from images.models import BaseImage, Build, BuildLayer, CachedLayer
from images.models.lease import WorkState
from images.registry.naming import image_repository

# Columns that say what is in a layer: large, and read by name alone.
CONTENTS = ("paths", "native")


def layers_by_key(keys: Collection[str]) -> dict[str, CachedLayer]:
    """Key → the layer that was last made for it; keys that were never made are left out."""
    found = made_here().filter(key__in=keys).order_by("pk").defer(*CONTENTS)
    return {layer.key: layer for layer in found}


def made_here() -> QuerySet[CachedLayer]:
    """The layers that workers of this instance made, which are those whose contents are known.

    Of an adopted layer only its image says what it is made of, and that may be forged. Making it here, with
    the same digest, confirms it.
    """
    return CachedLayer.objects.exclude(Q(os_packages=[]) & (Q(paths=b"") | Q(native=b"")))


def paths_of(layers: Collection[MadeLayer]) -> dict[str, bytes]:
    """Digest → `LayerPaths.pack` of layers: of those just made as they say, of the others as is
    remembered."""
    return contents_of(layers, {layer.digest: layer.paths for layer in layers}, "paths")


def native_of(layers: Collection[MadeLayer]) -> dict[str, bytes]:
    """Digest → `NativeReport.pack` of layers, as `paths_of`."""
    return contents_of(layers, {layer.digest: layer.native for layer in layers}, "native")


def contents_of(
    layers: Collection[MadeLayer], made: Mapping[str, bytes], column: str
) -> dict[str, bytes]:
    known = {digest: content for digest, content in made.items() if content}
    digests = {layer.digest for layer in layers} - known.keys()
    rows = CachedLayer.objects.filter(digest__in=digests).exclude(**{column: b""})
    return {
        **known,
        **{digest: bytes(content) for digest, content in rows.values_list("digest", column)},
    }


def holders(digests: Iterable[str], prefix: str, own_image: int) -> dict[str, str]:
    """Digest → a repository whose images contain the blob: the image's own, else the latest built.

    Follows from the builds; whether the blob is really there, the registry's answer tells.
    """
    rows = (
        BuildLayer.objects.filter(
            layer__digest__in=list(digests),
            build__state=WorkState.SUCCEEDED,
            build__image__removed_at__isnull=True,
        )
        .order_by(
            "layer__digest",
            Case(When(build__image=own_image, then=0), default=1),
            "-build_id",
        )
        .distinct("layer__digest")
        .values_list("layer__digest", "build__image__name")
    )
    return {digest: image_repository(prefix, name) for digest, name in rows}


def other_holders(digest: str, prefix: str, own_image: int, most: int) -> list[str]:
    """Repositories of other images that contain a blob, the latest built first."""
    names = (
        BuildLayer.objects.filter(
            layer__digest=digest,
            build__state=WorkState.SUCCEEDED,
            build__image__removed_at__isnull=True,
        )
        .exclude(build__image=own_image)
        .order_by("-build_id")
        .values_list("build__image__name", flat=True)
    )
    # An image may have many builds with the same layer.
    found = dict.fromkeys(names[: most * 10])
    return [image_repository(prefix, name) for name in found][:most]


def config_holder(digest: str, prefix: str) -> str:
    """A repository whose image has the configuration; empty if none is known."""
    found = Build.objects.filter(
        config_digest=digest, state=WorkState.SUCCEEDED, image__removed_at__isnull=True
    )
    name = found.order_by("-pk").values_list("image__name", flat=True).first()
    return image_repository(prefix, name) if name else ""


def base_holders(digests: Collection[str]) -> dict[str, str]:
    """Digest → the repository of a base image that has the blob among its layers."""
    found = {}
    for base in BaseImage.objects.filter(state=WorkState.SUCCEEDED):
        for layer in base.layers:
            if layer["digest"] in digests:
                found[layer["digest"]] = base.repository
    return found


def remember(layers: Iterable[MadeLayer]) -> None:
    """Record layers by what went into them; those that are known already stay."""
    made = list(layers)
    rows = [
        CachedLayer(
            key=layer.key,
            digest=layer.digest,
            diff_id=layer.diff_id,
            size_bytes=layer.size,
            title=layer.title[:255],
            os_packages=list(layer.os_packages),
            paths=layer.paths,
            notes=as_json(layer.notes),
            native=layer.native,
        )
        for layer in made
    ]
    CachedLayer.objects.bulk_create(
        [row for row in rows if not (row.native or row.os_packages)], ignore_conflicts=True
    )
    # One that was made again, since its contents were not known, is the same row.
    CachedLayer.objects.bulk_create(
        [row for row in rows if row.native or row.os_packages],
        update_conflicts=True,
        update_fields=[*CONTENTS, "notes", "os_packages"],
        unique_fields=["key", "digest"],
    )
