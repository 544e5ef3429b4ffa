"""What is in an image, and how it came to be: SBOM and provenance, made from what a build recorded.

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
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from images.models import Build

CYCLONEDX = "application/vnd.cyclonedx+json"
IN_TOTO = "application/vnd.in-toto+json"
BUILD_TYPE = "urn:ri-platform:managed-image:1"
BUILDER = "urn:ri-platform:builds-worker"
# Serial numbers are uuid5 of the image's digest: the same image has the same SBOM.
NAMESPACE = uuid.UUID("6f0a7a0e-6d7a-5b7e-9a53-6c1c3f2a9b11")


@dataclass(frozen=True)
class Library:
    """A library as Python sees it in the image; `sha256` of its wheel in hex, empty for the base's own."""

    name: str
    version: str
    sha256: str = ""

    @property
    def purl(self) -> PackageURL:
        return PackageURL("pypi", None, canonicalize_name(self.name), self.version)


@dataclass(frozen=True)
class BuildFacts:
    """What a finished build knows; `os_packages` are (name, version) pairs of the system `os_id`."""

    image_name: str
    build_number: int
    repository: str
    digest: str
    created_at: datetime
    spec: dict[str, Any]
    lock: str
    base_reference: str
    base_digest: str
    libraries: tuple[Library, ...]
    os_id: str
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
    found = [
        Component(
            name=item.name,
            version=item.version,
            type=ComponentType.LIBRARY,
            bom_ref=str(item.purl),
            purl=item.purl,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item.sha256)] * bool(item.sha256),
        )
        for item in sorted(facts.libraries, key=lambda library: str(library.purl))
    ]
    for name, version in sorted(facts.os_packages):
        purl = PackageURL("deb", facts.os_id, name, version)
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


def provenance(facts: BuildFacts, version: str) -> bytes:
    """An in-toto statement with SLSA provenance v1; `version` is the platform's own."""
    dependencies: list[dict[str, Any]] = [
        {"uri": facts.base_reference, "digest": {"sha256": facts.base_digest.partition(":")[2]}}
    ]
    dependencies += [
        {"uri": str(item.purl), "digest": {"sha256": item.sha256}}
        for item in facts.libraries
        if item.sha256
    ]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": facts.repository, "digest": {"sha256": facts.digest.partition(":")[2]}}
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": facts.spec,
                "internalParameters": {
                    "lockSha256": hashlib.sha256(facts.lock.encode("utf-8")).hexdigest()
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
        libraries=[Library(item.name, item.version, item.sha256) for item in build.libraries.all()],
        os_packages=system[0] if system else build.base_image.os_packages,
    )
