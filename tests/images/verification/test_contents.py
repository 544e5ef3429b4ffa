"""What the registry lacks of an image is found, whatever it is, and nothing is found where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from images.models import BaseImage, FindingCode, ManagedImage, Status
from images.registry.distribution.descriptors import OCI_MANIFEST
from images.verification.contents import Look, look_at_all
from images.verification.findings import Finding
from images.verification.pace import Pace
from images.verification.rows import promised_bases, promised_builds
from images.verification.whole import examine
from tests import factories
from tests.images.verification import pushed
from tests.local_aws import LocalAWS

pytestmark = pytest.mark.slow

REPOSITORY = f"{pushed.PREFIX}/sound"


@pytest.fixture
def registry(empty_registry: LocalAWS) -> LocalAWS:
    return empty_registry


@pytest.fixture
def base(registry: LocalAWS, db: None, tmp_path: Path) -> BaseImage:
    return pushed.push_base(registry, tmp_path)


@pytest.fixture
def image(registry: LocalAWS, base: BaseImage, tmp_path: Path) -> ManagedImage:
    return pushed.push_ready(registry, "sound", base, tmp_path)


@pytest.fixture
def found(registry: LocalAWS) -> Callable[..., list[Finding]]:
    def look(*, deep: bool = False) -> list[Finding]:
        with registry.client() as client, Look(client, pace=Pace(0), deep=deep) as looking:
            rows = [*promised_builds(), *promised_bases()]
            return list(look_at_all(looking, iter(rows)))

    return look


def codes(findings: list[Finding]) -> list[tuple[FindingCode, str]]:
    return [(finding.code, finding.subject) for finding in findings]


@pytest.mark.parametrize("deep", [False, True])
def test_nothing_is_found_where_all_is_as_recorded(
    image: ManagedImage, found: Callable[..., list[Finding]], deep: bool
) -> None:
    assert found(deep=deep) == []


def test_a_repository_that_is_gone(
    image: ManagedImage, registry: LocalAWS, found: Callable[..., list[Finding]]
) -> None:
    registry.control("registry-server").delete_repository(REPOSITORY)
    (finding,) = found()
    assert (finding.code, finding.subject, finding.build) == ("repository_missing", "sound", 1)
    assert finding.said == (
        f"The repository {REPOSITORY} of build 1 of sound is not in the registry."
    )


def test_a_manifest_that_somebody_deleted(
    image: ManagedImage, registry: LocalAWS, found: Callable[..., list[Finding]]
) -> None:
    assert image.current_build is not None
    digest = image.current_build.manifest_digest
    registry.root.batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageDigest": digest}])
    assert codes(found()) == [(FindingCode.MANIFEST_MISSING, "sound")]


def test_a_tag_that_somebody_deleted_leaves_the_manifest_to_expire(
    image: ManagedImage, registry: LocalAWS, tmp_path: Path, found: Callable[..., list[Finding]]
) -> None:
    registry.control("registry-server").delete_repository(REPOSITORY)
    pushed.push(registry, "sound", tmp_path, tags=["other"])
    assert codes(found()) == [(FindingCode.TAG_MISSING, "sound")]


def test_a_tag_that_names_another_image(
    image: ManagedImage, registry: LocalAWS, found: Callable[..., list[Finding]]
) -> None:
    image.builds.update(manifest_digest=factories.digest("another"))
    assert codes(found()) == [
        (FindingCode.MANIFEST_MISSING, "sound"),
        (FindingCode.TAG_MOVED, "sound"),
    ]


@pytest.mark.parametrize("position", [0, 2])
def test_a_blob_that_is_gone(
    image: ManagedImage,
    registry: LocalAWS,
    tmp_path: Path,
    found: Callable[..., list[Finding]],
    position: int,
) -> None:
    lost = list(pushed.contents("sound"))[position]
    registry.control("registry-server").delete_repository(REPOSITORY)
    digest = pushed.push(registry, "sound", tmp_path, tags=["build-1"], without=[lost])
    image.builds.update(manifest_digest=digest)
    (finding,) = found()
    assert (finding.code, finding.digest) == (FindingCode.BLOB_MISSING, lost)


def test_a_base_image_is_looked_at_as_well(
    base: BaseImage, registry: LocalAWS, found: Callable[..., list[Finding]]
) -> None:
    digest = base.manifest_digest
    registry.root.batch_delete_image(
        repositoryName=base.repository, imageIds=[{"imageDigest": digest}]
    )
    assert codes(found()) == [(FindingCode.MANIFEST_MISSING, str(base))]


def test_removed_images_and_superseded_builds_are_no_promise(
    image: ManagedImage, base: BaseImage, found: Callable[..., list[Finding]]
) -> None:
    factories.make_build(image, base, Status.READY, number=2)
    assert found() == []


def test_all_checks_at_once_find_what_no_record_knows(
    image: ManagedImage, registry: LocalAWS, tmp_path: Path
) -> None:
    from images.verification import names

    control = registry.control("registry-server")
    names.make_registers(control, pushed.PREFIX)
    pushed.push(registry, "newer", tmp_path, tags=["build-1"])
    with registry.client() as client:
        for name in ("sound", "newer", "never-there"):
            names.enter(client, pushed.PREFIX, name, tmp_path)
        # A tag that anybody may have pushed is no name until it is one.
        repository = names.register_for(pushed.PREFIX, "newer")
        client.put_manifest(repository, "Not_A-name.", names.entry("x"), OCI_MANIFEST)
        found = examine(client, control)
    assert [(item.code, item.subject) for item in found if item.code != "audit_incomplete"] == [
        (FindingCode.REPOSITORY_UNKNOWN, "newer")
    ]
