"""SBOM and provenance: what is in an image and where it came from, in the registry and in the console."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from images.api import present
from images.models import (
    BaseImage,
    Build,
    BuildLayer,
    BuiltWheel,
    CachedLayer,
    InstalledLibrary,
    ManagedImage,
    Status,
)
from images.registry import connection
from images.registry.distribution.descriptors import Descriptor
from tests import factories
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS


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
            held = client.read_blob(
                repository, Descriptor.from_json(layer), 1 << 20, check=lambda: None
            )
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


@pytest.mark.slow
def test_the_same_image_has_the_same_bill_of_materials(cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0"})
    first = download(cast, "image_sbom", "churn")
    assert first == download(cast, "image_sbom", "churn")
    assert json.loads(first)["specVersion"] == "1.6"


@pytest.mark.slow
def test_what_dnf_installed_is_in_the_bill_of_materials_and_in_answers(
    cast: Cast, base: BaseImage
) -> None:
    BaseImage.objects.update(os_family="rhel", os_id="rocky")
    image = factories.make_image("dnf-made", base=base)
    ManagedImage.objects.update(os_packages=[{"name": "jq", "version": ""}])
    layer = CachedLayer.objects.create(
        key="k", digest=factories.digest("dnf"), diff_id=factories.digest("diff"), size_bytes=1,
        title="OS packages: jq", os_packages=[["jq", "1.6-17.el9"], ["oniguruma", "6.9.6-1.el9"]],
    )  # fmt: skip
    BuildLayer.objects.create(build=image.builds.get(), layer=layer, position=0)
    bill = json.loads(download(cast, "image_sbom", "dnf-made"))
    purls = {component["purl"] for component in bill["components"]}
    assert {"pkg:rpm/rocky/jq@1.6-17.el9", "pkg:rpm/rocky/oniguruma@6.9.6-1.el9"} <= purls
    (package,) = present.detail(ManagedImage.objects.get())["package_requirements"]
    assert package["package_type"] == "PACKAGE_TYPE_ROCKYLINUX"


@pytest.mark.parametrize("route", ["image_sbom", "image_provenance", "image_lock"])
def test_without_an_image_there_is_nothing_to_download(
    route: str, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, status=Status.FAILED)
    url = reverse(route, kwargs={"workspace_id": cast.workspace.pk, "name": "churn"})
    answer = cast.client(cast.viewer).get(url)
    assert answer.status_code == 404
    assert b"No build of this image has succeeded yet" in answer.content


def built_library(base: BaseImage) -> tuple[InstalledLibrary, BuiltWheel]:
    """An image with a library that was built in another image's build."""
    image = factories.make_image("holder", base=base, libraries={"docopt": "0.6.2", "numpy": "2.0"})
    wheel = BuiltWheel.objects.create(
        key="k",
        filename="docopt-0.6.2-py2.py3-none-any.whl",
        sha256="b" * 64,
        size_bytes=1,
        source_filename="docopt-0.6.2.tar.gz",
        source_sha256="5" * 64,
        source_url="https://files.test/docopt-0.6.2.tar.gz",
        image_name="origin",
        build_number=2,
        builder="urn:ri-platform:builds-worker@0.1.0",
    )
    library = InstalledLibrary.objects.get(build=image.current_build, name="docopt")
    InstalledLibrary.objects.filter(pk=library.pk).update(sha256=wheel.sha256, built_wheel=wheel)
    InstalledLibrary.objects.filter(name="numpy").update(sha256="a" * 64)
    Build.objects.filter(pk=library.build_id).update(lock=f'sha256 = "{"a" * 64}"')
    return library, wheel


def test_a_wheel_that_was_built_here_is_said_to_be_of_its_source(
    cast: Cast, base: BaseImage
) -> None:
    built_library(base)
    bill = json.loads(download(cast, "image_sbom", "holder"))
    found = {component["name"]: component for component in bill["components"]}
    docopt = found["docopt"]
    # The index has no file of this digest: the component does not say that it came from there.
    assert docopt["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    assert docopt["purl"] != "pkg:pypi/docopt@0.6.2"
    assert "repository_url=urn:ri-platform:builds-worker" in docopt["purl"].replace("%3A", ":")
    (source,) = docopt["pedigree"]["ancestors"]
    assert source["hashes"] == [{"alg": "SHA-256", "content": "5" * 64}]
    assert source["purl"] == "pkg:pypi/docopt@0.6.2?file_name=docopt-0.6.2.tar.gz"
    assert source["externalReferences"][0]["url"] == "https://files.test/docopt-0.6.2.tar.gz"
    told = {item["name"]: item["value"] for item in docopt["properties"]}
    assert told == {
        "ri-platform:build": "origin/build-2",
        "ri-platform:builder": "urn:ri-platform:builds-worker@0.1.0",
    }
    assert found["numpy"]["purl"] == "pkg:pypi/numpy@2.0"
    assert "pedigree" not in found["numpy"]


@pytest.mark.slow
def test_provenance_names_the_source_the_build_and_the_builder_of_a_built_wheel(
    cast: Cast, base: BaseImage
) -> None:
    built_library(base)
    statement = json.loads(download(cast, "image_provenance", "holder"))
    _, source, wheel, numpy = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["name"] == "docopt-0.6.2.tar.gz"
    assert source["digest"] == {"sha256": "5" * 64}
    assert source["downloadLocation"] == "https://files.test/docopt-0.6.2.tar.gz"
    assert wheel["digest"] == {"sha256": "b" * 64}
    assert wheel["annotations"] == {
        "builder": "urn:ri-platform:builds-worker@0.1.0",
        "build": "origin/build-2",
        "sourceSha256": "5" * 64,
    }
    assert numpy == {"uri": "pkg:pypi/numpy@2.0", "digest": {"sha256": "a" * 64}}
    page = reverse("image_libraries", kwargs={"workspace_id": cast.workspace.pk, "name": "holder"})
    shown = cast.client(cast.viewer).get(page).content.decode()
    assert "Built here from <code>docopt-0.6.2.tar.gz</code>" in shown
    assert "in <code>origin/build-2</code>" in shown


def test_an_image_of_before_it_was_recorded_tells_by_its_lock(cast: Cast, base: BaseImage) -> None:
    library, wheel = built_library(base)
    wheel.delete()
    library.refresh_from_db()
    assert library.built_wheel is None
    bill = json.loads(download(cast, "image_sbom", "holder"))
    found = {component["name"]: component["purl"] for component in bill["components"]}
    assert found["numpy"] == "pkg:pypi/numpy@2.0"
    assert found["docopt"].startswith("pkg:pypi/docopt@0.6.2?repository_url=")
