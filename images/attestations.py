"""SBOM and provenance of an image, made from what its build recorded.

Formats: CycloneDX 1.6 (JSON); in-toto Statement v1 with SLSA provenance v1; package URLs. Both are
functions of the build alone, so the console shows just what the registry holds.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from images.indexes import indexes_of
from images.models import Build, BuiltWheel, InstalledLibrary
from images.spec import ImageSpec

CYCLONEDX = "application/vnd.cyclonedx+json"
IN_TOTO = "application/vnd.in-toto+json"
BUILD_TYPE = "urn:ri-platform:managed-image:1"
BUILDER = "urn:ri-platform:builds-worker"
# Serial numbers are uuid5 of the image's digest: the same image has the same SBOM.
NAMESPACE = uuid.UUID("6f0a7a0e-6d7a-5b7e-9a53-6c1c3f2a9b11")


@dataclass(frozen=True)
class BuiltHere:
    """Of a wheel that this instance built: its row, its file, what it was made of, in which build, and by
    whom.

    What is not recorded is empty; of images that were built before it was, nothing is.
    """

    row: int | None = None
    filename: str = ""
    source_filename: str = ""
    source_sha256: str = ""
    source_url: str = ""
    build: str = ""
    builder: str = BUILDER

    @classmethod
    def of(cls, wheel: BuiltWheel) -> Self:
        return cls(
            wheel.pk,
            wheel.filename,
            wheel.source_filename,
            wheel.source_sha256,
            wheel.source_url,
            f"{wheel.image_name}/build-{wheel.build_number}" if wheel.image_name else "",
            wheel.builder or BUILDER,
        )


@dataclass(frozen=True)
class Library:
    """A library as Python sees it in the image; `sha256` of its wheel in hex, empty for the base's own.

    `built` is set where that wheel is none of an index, but was built here of a source distribution.
    `notes` are sentences that whoever uses it should know.
    """

    name: str
    version: str
    sha256: str = ""
    built: BuiltHere | None = None
    notes: tuple[str, ...] = ()

    @property
    def purl(self) -> PackageURL:
        """What it is; of a wheel that was built here it says that no index has it."""
        where = {"file_name": self.built.filename, "repository_url": BUILDER} if self.built else {}
        return self.purl_with({name: value for name, value in where.items() if value})

    @property
    def source_purl(self) -> PackageURL:
        """The source distribution that the index has, for a library that was built of it."""
        assert self.built is not None
        return self.purl_with({"file_name": self.built.source_filename})

    def purl_with(self, qualifiers: dict[str, str]) -> PackageURL:
        return PackageURL("pypi", None, canonicalize_name(self.name), self.version, qualifiers)


@dataclass(frozen=True)
class BuildFacts:
    """The facts of a finished build; `os_packages` are (name, version) pairs of the system `os_id`.

    `os_purl_type` is the type of their package URLs, such as `deb`.
    """

    image_name: str
    build_number: int
    repository: str
    digest: str
    created_at: datetime
    spec: ImageSpec
    lock: str
    base_reference: str
    base_digest: str
    libraries: tuple[Library, ...]
    os_id: str
    os_purl_type: str
    os_packages: tuple[tuple[str, str], ...]


def sbom(facts: BuildFacts) -> bytes:
    """CycloneDX 1.6: the image as the subject, its libraries and OS packages as components."""
    image = Component(
        name=facts.image_name,
        version=facts.digest,
        type=ComponentType.CONTAINER,
        bom_ref="image",
        purl=PackageURL(
            "oci", None, facts.image_name, facts.digest, {"repository_url": facts.repository}
        ),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=facts.digest.partition(":")[2])],
    )
    bom = Bom(
        serial_number=uuid.uuid5(NAMESPACE, facts.digest),
        metadata=BomMetaData(component=image, timestamp=facts.created_at),
        components=components(facts),
    )
    bom.register_dependency(image, bom.components)
    return JsonV1Dot6(bom).output_as_string().encode("utf-8")


def components(facts: BuildFacts) -> list[Component]:
    indexes = indexes_of(facts.lock)
    found = [
        Component(
            name=item.name,
            version=item.version,
            type=ComponentType.LIBRARY,
            bom_ref=str(item.purl),
            purl=item.purl,
            hashes=hashes(item.sha256),
            pedigree=pedigree(item),
            properties=[
                Property(name=f"ri-platform:{name}", value=value)
                for name, value in (
                    ("builder", item.built.builder if item.built else ""),
                    ("build", item.built.build if item.built else ""),
                    ("index", indexes.get(canonicalize_name(item.name), "") if item.sha256 else ""),
                )
                if value
            ],
        )
        for item in sorted(facts.libraries, key=lambda library: str(library.purl))
    ]
    for name, version in sorted(facts.os_packages):
        purl = PackageURL(facts.os_purl_type, facts.os_id, name, version)
        found.append(
            Component(
                name=name,
                version=version,
                type=ComponentType.LIBRARY,
                bom_ref=str(purl),
                purl=purl,
            )
        )
    return found


def hashes(sha256: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] * bool(sha256)


def pedigree(item: Library) -> Pedigree | None:
    """Of a library that was built here: the source distribution that it is a variant of."""
    if item.built is None or not item.built.source_sha256:
        return None
    address = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION, url=XsUri(item.built.source_url)
    )
    source = Component(
        name=item.name,
        version=item.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(item.source_purl),
        purl=item.source_purl,
        hashes=hashes(item.built.source_sha256),
        external_references=[address],
    )
    return Pedigree(ancestors=[source])


def provenance(facts: BuildFacts, version: str) -> bytes:
    """An in-toto statement with SLSA provenance v1; `version` is the platform's own."""
    dependencies: list[dict[str, Any]] = [
        {"uri": facts.base_reference, "digest": {"sha256": facts.base_digest.partition(":")[2]}}
    ]
    for item in facts.libraries:
        if item.sha256:
            dependencies += dependencies_of(item)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": facts.repository, "digest": {"sha256": facts.digest.partition(":")[2]}}
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": facts.spec.as_json(),
                # The lock itself, so that an instance whose records are older can adopt the image.
                "internalParameters": {
                    "lockSha256": hashlib.sha256(facts.lock.encode("utf-8")).hexdigest(),
                    "lock": facts.lock,
                },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"ri-platform": version}},
                "metadata": {
                    "invocationId": f"{facts.image_name}/build-{facts.build_number}",
                    "startedOn": facts.created_at.isoformat(),
                },
            },
        },
    }
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode("utf-8")


def dependencies_of(item: Library) -> list[dict[str, Any]]:
    """A library's wheel as SLSA's ResourceDescriptor; before one that was built here, what it was built
    of."""
    wheel: dict[str, Any] = {"uri": str(item.purl), "digest": {"sha256": item.sha256}}
    built = item.built
    if built is None:
        return [wheel]
    told = {"builder": built.builder, "build": built.build, "sourceSha256": built.source_sha256}
    wheel |= {"name": built.filename, "annotations": {k: v for k, v in told.items() if v}}
    if not built.source_sha256:
        return [wheel]
    source = {
        "name": built.source_filename,
        "uri": str(item.source_purl),
        "digest": {"sha256": built.source_sha256},
        "downloadLocation": built.source_url,
    }
    return [source, wheel]


def facts_of(
    build: Build,
    *,
    repository: str,
    digest: str,
    lock: str,
    libraries: Iterable[Library],
    os_packages: Iterable[Sequence[str]],
) -> BuildFacts:
    """The facts of a build that is about to end, or of one that has."""
    base = build.base_image
    family = base.packages_by
    return BuildFacts(
        image_name=build.image.name,
        build_number=build.number,
        repository=repository,
        digest=digest,
        created_at=build.created_at,
        spec=build.spec,
        lock=lock,
        base_reference=base.repository,
        base_digest=base.manifest_digest,
        libraries=tuple(libraries),
        os_id=base.os_id or "linux",
        os_purl_type=family.purl_type if family else "generic",
        os_packages=tuple((name, version) for name, version in os_packages),
    )


def recorded_facts(build: Build, repository: str) -> BuildFacts:
    """The facts of a build that succeeded, from its rows."""
    layers = build.layers.exclude(layer__os_packages=[])
    system = layers.values_list("layer__os_packages", flat=True)
    return facts_of(
        build,
        repository=repository,
        digest=build.manifest_digest,
        lock=build.lock,
        libraries=[
            Library(item.name, item.version, item.sha256, find_local_build(item, build.lock))
            for item in build.libraries.select_related("built_wheel")
        ],
        os_packages=system[0] if system else build.base_image.os_packages,
    )


def find_local_build(library: InstalledLibrary, lock: str) -> BuiltHere | None:
    """What is known of an installed library's wheel, if it was built here; None if it is an index's or the
    base's.

    Images of before it was recorded tell by their lock: it has the hash of every file that the index gave.
    """
    if library.built_wheel is not None:
        return BuiltHere.of(library.built_wheel)
    return BuiltHere() if library.sha256 and lock and library.sha256 not in lock else None
