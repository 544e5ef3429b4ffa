"""The claims of an image in the registry about itself, checked before anything of it becomes a record.

Manifest, configuration and provenance hold each other's digests, and anybody who can push to the repository
may have written all of them: what is taken is only what the platform could have pushed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name

from images.attestations import IN_TOTO
from images.building.locks.files import Lock
from images.building.locks.pylock import parse_lock
from images.building.locks.target import Target
from images.errors import BuildError, NotAdoptable, RegistryNotFound
from images.models import BaseImage, ImageType, PythonVersion
from images.models.lease import WorkState
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, Descriptor, Manifest
from images.requirements import NamedItem, os_packages, pip_requirements
from images.run_time.checks import checked_run_time
from images.run_time.settings import RunTime
from images.spec import ImageSpec
from images.verification.contents import layers_and_config
from ri_platform.errors import DomainError
from ri_platform.text import one_line

ANNOTATIONS = "org.opencontainers.image"
HISTORY = "ri-platform: "
MAX_CONFIG, MAX_PROVENANCE = 4 << 20, 32 << 20
MAX_DESCRIPTION = 500


@dataclass(frozen=True)
class ClaimedLayer:
    """A layer above the base's, with the title that the configuration's history gives it."""

    title: str
    descriptor: Descriptor
    diff_id: str


@dataclass(frozen=True)
class ClaimedImage:
    """An image of the registry whose claims fit together and could be the platform's."""

    name: str
    number: int
    manifest: Manifest
    config: bytes
    config_digest: str
    size_bytes: int
    base: BaseImage
    spec: ImageSpec
    lock: Lock
    description: str
    layers: tuple[ClaimedLayer, ...]
    # sha256 of the wheel of each library, by normalized name.
    wheels: Mapping[str, str]


def read_claims(
    client: RegistryClient, repository: str, name: str, number: int, check: Callable[[], None]
) -> ClaimedImage:
    """Read and check a build's image. Raises `NotAdoptable` with a sentence, and `RegistryError`."""
    tag = f"build-{number}"
    manifest = client.get_manifest(repository, tag)
    config_blob, *layers = layers_and_config(manifest)
    data = manifest.json()
    annotations = strings(data.get("annotations"))
    if annotations.get(f"{ANNOTATIONS}.title") != name or data.get("mediaType") != OCI_MANIFEST:
        raise NotAdoptable(f"{tag} does not say that it is an image of {name}.")
    config = client.read_blob(repository, config_blob, MAX_CONFIG, check=check)
    statement = read_provenance(client, repository, tag, manifest, check)
    base = known_base(annotations.get(f"{ANNOTATIONS}.base.digest", ""))
    spec = checked_spec(statement, base)
    description = annotations.get(f"{ANNOTATIONS}.description", "")
    return ClaimedImage(
        name,
        number,
        manifest,
        config,
        config_blob.digest,
        sum(blob.size for blob in {blob.digest: blob for blob in (config_blob, *layers)}.values()),
        base,
        spec,
        checked_lock(statement, base, spec, annotations.get(f"{ANNOTATIONS}.revision", "")),
        checked_description(description),
        own_layers(config, layers, base),
        wheels_of(statement),
    )


def strings(value: object) -> dict[str, str]:
    found = value if isinstance(value, dict) else {}
    return {key: text for key, text in found.items() if isinstance(text, str)}


def member(value: object, *path: str) -> Any:
    """The member of nested JSON objects, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def read_provenance(
    client: RegistryClient,
    repository: str,
    tag: str,
    manifest: Manifest,
    check: Callable[[], None],
) -> dict[str, Any]:
    """The statement that refers to the image by digest, twice."""
    try:
        referrer = client.get_manifest(repository, f"{tag}-provenance")
        data = referrer.json()
        _, blob = layers_and_config(referrer)
        raw = client.read_blob(repository, blob, MAX_PROVENANCE, check=check)
        statement = json.loads(raw)
    except RegistryNotFound as error:
        raise NotAdoptable(
            f"{tag} has no provenance, so nobody knows what it was made of."
        ) from error
    except (ValueError, RecursionError) as error:
        raise NotAdoptable(f"The provenance of {tag} cannot be read.") from error
    subject = member(statement, "subject")
    told = (
        [member(item, "digest", "sha256") for item in subject] if isinstance(subject, list) else []
    )
    refers = member(data, "subject", "digest") == manifest.digest
    if data.get("artifactType") != IN_TOTO or not refers or told != [manifest.digest[7:]]:
        raise NotAdoptable(f"The provenance of {tag} is that of another image.")
    return dict(statement)


def known_base(digest: str) -> BaseImage:
    found = BaseImage.objects.filter(state=WorkState.SUCCEEDED, manifest_digest=digest).first()
    if found is None:
        raise NotAdoptable(
            f"It stands on the base image {digest[:80] or 'of no digest'}, which no record knows.",
            hint="Import that base image first, from the same source.",
        )
    return found


def checked_spec(statement: Mapping[str, Any], base: BaseImage) -> ImageSpec:
    """The spec as if somebody had asked for it now."""
    given = member(statement, "predicate", "buildDefinition", "externalParameters")
    try:
        claimed = ImageSpec.of_columns(given)
        spec = ImageSpec(
            ImageType(claimed.image_type),
            PythonVersion(claimed.python_version),
            pip_requirements(
                NamedItem(
                    with_extras(item.name, item.extras), item.specifier, item.index, item.hashes
                )
                for item in claimed.pip_requirements
            ),
            os_packages(NamedItem(item.name, item.version) for item in claimed.os_packages),
            claimed.allow_source,
            tuple(map(one_word, claimed.indexes)),
            bool(claimed.allow_prereleases),
            checked_settings(claimed.run_time),
        )
    except (DomainError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAdoptable(f"What it was asked for cannot be believed: {error}") from error
    if (spec.image_type, spec.python_version) != (base.image_type, base.python_version):
        raise NotAdoptable("What it was asked for does not fit the base image that it stands on.")
    return spec


def with_extras(name: str, extras: Sequence[str]) -> str:
    return f"{name}[{','.join(extras)}]" if extras else name


def one_word(text: str) -> str:
    if not text.replace("-", "").replace("_", "").isalnum() or len(text) > 100:
        raise ValueError(f"{text[:80]!a} is not the name of an index.")
    return text


def checked_settings(run_time: RunTime) -> RunTime:
    return checked_run_time(
        dict(run_time.env),
        run_time.working_dir,
        run_time.user,
        run_time.entrypoint,
        dict(run_time.labels),
    )


def checked_lock(
    statement: Mapping[str, Any], base: BaseImage, spec: ImageSpec, revision: str
) -> Lock:
    """The lock whose digest the manifest itself has among its annotations."""
    text = member(statement, "predicate", "buildDefinition", "internalParameters", "lock")
    if not isinstance(text, str) or not text:
        raise NotAdoptable(
            "Its provenance has no lock: it was built before these had one.",
            hint="Create an image of this name once the repository is deleted.",
        )
    if revision != f"sha256:{hashlib.sha256(text.encode()).hexdigest()}":
        raise NotAdoptable("The lock in its provenance is not the one that its manifest names.")
    try:
        return parse_lock(
            text, Target(base.python_version, base.platform), allow_source=spec.allow_source
        )
    except (BuildError, KeyError, TypeError, ValueError) as error:
        raise NotAdoptable(f"Its lock cannot be believed: {error}") from error


def checked_description(text: str) -> str:
    try:
        one_line(text)
    except ValueError:
        return ""
    return text[:MAX_DESCRIPTION]


def own_layers(
    config: bytes, layers: Sequence[Descriptor], base: BaseImage
) -> tuple[ClaimedLayer, ...]:
    """The layers above the base's, with diff ids and titles out of the configuration."""
    try:
        data = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise NotAdoptable("Its configuration cannot be read.") from error
    below = [layer["digest"] for layer in base.layers]
    if [layer.digest for layer in layers[: len(below)]] != below:
        raise NotAdoptable("It does not have the layers of the base image that it names.")
    diff_ids, history = member(data, "rootfs", "diff_ids"), member(data, "history")
    if not isinstance(diff_ids, list) or len(diff_ids) != len(layers):
        raise NotAdoptable("Its configuration and its manifest disagree about its layers.")
    own = layers[len(below) :]
    told = [member(item, "created_by") for item in history] if isinstance(history, list) else []
    titles = [str(text).removeprefix(HISTORY) for text in told[len(told) - len(own) :]]
    if len(titles) != len(own):
        raise NotAdoptable("Its configuration does not say what its layers are.")
    ids = [Descriptor("", diff_id, 0).digest for diff_id in diff_ids[len(below) :]]
    return tuple(map(ClaimedLayer, titles, own, ids))


def wheels_of(statement: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of each library's wheel by name, as far as the provenance says so."""
    found = member(statement, "predicate", "buildDefinition", "resolvedDependencies")
    return dict(named_wheels(found if isinstance(found, list) else []))


def named_wheels(dependencies: Sequence[object]) -> Iterable[tuple[str, str]]:
    for item in dependencies:
        uri, sha256 = member(item, "uri"), member(item, "digest", "sha256")
        if not (isinstance(uri, str) and uri.startswith("pkg:pypi/") and isinstance(sha256, str)):
            continue
        if len(sha256) == 64 and not set(sha256) - set("0123456789abcdef"):
            # The wheel stands behind the source distribution that it was built of.
            yield canonicalize_name(uri.removeprefix("pkg:pypi/").partition("@")[0]), sha256
