"""SBOM and provenance: what is in an image and where it came from, in the registry and in the console."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from images.models import BaseImage, InstalledLibrary, Status
from images.registry import connection
from images.registry.oci import Descriptor
from tests import factories
from tests.conftest import Cast, LocalAWS
from tests.test_main_job import ask, build_now


def download(cast: Cast, route: str, name: str) -> bytes:
    url = reverse(route, kwargs={"workspace_id": cast.workspace.pk, "name": name})
    answer = cast.client(cast.viewer).get(url)
    assert answer.status_code == 200
    assert "attachment" in answer["Content-Disposition"]
    return bytes(answer.content)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_the_registry_holds_both_as_referrers_and_the_console_gives_the_same(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    image = build_now(registry, ask(cast, "attested", "pyjokes==0.6.0"))
    build = image.current_build
    assert build is not None
    repository = "rime-managed-images/attested"
    for name, route, artifact_type in (
        ("sbom", "image_sbom", "application/vnd.cyclonedx+json"),
        ("provenance", "image_provenance", "application/vnd.in-toto+json"),
    ):
        with registry.identity("build-jobs"), connection.registry_client() as client:
            manifest = client.get_manifest(repository, f"build-1-{name}").json()
            (layer,) = manifest["layers"]
            held = client.read_blob(repository, Descriptor.from_json(layer), 1 << 20)
        assert manifest["artifactType"] == artifact_type
        assert manifest["subject"]["digest"] == build.manifest_digest
        assert download(cast, route, "attested") == held
    bill = json.loads(download(cast, "image_sbom", "attested"))
    purls = {component["purl"] for component in bill["components"]}
    assert "pkg:pypi/pyjokes@0.6.0" in purls
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in purls)
    assert bill["metadata"]["component"]["version"] == build.manifest_digest
    statement = json.loads(download(cast, "image_provenance", "attested"))
    base, wheel = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert base["digest"]["sha256"] == debian.manifest_digest.partition(":")[2]
    (library,) = InstalledLibrary.objects.filter(build=build, name="pyjokes")
    assert wheel == {"uri": "pkg:pypi/pyjokes@0.6.0", "digest": {"sha256": library.sha256}}
    assert len(library.sha256) == 64


def test_the_same_image_has_the_same_bill_of_materials(cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0"})
    first = download(cast, "image_sbom", "churn")
    assert first == download(cast, "image_sbom", "churn")
    assert json.loads(first)["specVersion"] == "1.6"


@pytest.mark.parametrize("route", ["image_sbom", "image_provenance", "image_lock"])
def test_without_an_image_there_is_nothing_to_download(
    route: str, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, status=Status.FAILED)
    url = reverse(route, kwargs={"workspace_id": cast.workspace.pk, "name": "churn"})
    answer = cast.client(cast.viewer).get(url)
    assert answer.status_code == 404
    assert b"No build of this image has succeeded yet" in answer.content


def test_statements_name_the_version_that_is_installed() -> None:
    project = tomllib.loads((Path(settings.BASE_DIR) / "pyproject.toml").read_text())
    assert project["project"]["version"] == settings.VERSION
