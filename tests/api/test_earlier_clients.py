"""Answers for clients before 2.0, beside those for later ones, and what the fields of an image say."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings

from images.models import BaseImage, ManagedImage, Status
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast
from workspaces.models import WorkspaceRole

pytestmark = pytest.mark.django_db

LIMIT = "/v1/feature-flags/instance/limits/LICENSE_LIMIT_EXPIRATION"


def test_both_generations_are_answered_side_by_side(ask: Ask, cast: Cast) -> None:
    told = {
        front: (
            ask(cast.viewer, "GET", f"{front}/v1/rime-info").json()["clusterInfoVersion"],
            ask(cast.viewer, "GET", f"{front}{LIMIT}").json()["limitStatus"]["limitStatus"],
        )
        for front in ("", "/0.20")
    }
    assert told == {"": ("2.13.2", "STATUS_OK"), "/0.20": ("0.20.27", "OK")}


def test_an_instance_can_answer_all_as_the_earlier_generation(
    ask: Ask, cast: Cast, settings: LazySettings
) -> None:
    settings.COMPATIBILITY_VERSION = "0.20.5"
    assert ask(cast.viewer, "GET", LIMIT).json()["limitStatus"]["limitStatus"] == "OK"


@pytest.mark.slow
def test_the_earlier_front_has_the_api_alone_with_its_guard_and_errors(
    ask: Ask, cast: Cast
) -> None:
    answer = ask(None, "GET", "/0.20/v1/images")
    assert (answer.status_code, answer.json()["code"]) == (401, 16)
    assert ask(cast.viewer, "GET", "/0.20/v1/images/nobody").json()["code"] == 5
    assert ask(cast.viewer, "GET", "/0.20/v1/images")["Cache-Control"] == "no-store"
    for path in ("/0.20", "/0.20/", "/0.20/healthz", "/0.20/0.20/v1/images", "/0.20/workspaces"):
        assert ask(cast.viewer, "GET", path).status_code == 404


@pytest.mark.parametrize(
    ("given", "image_type"),
    [
        ("BASE_IMAGE_TYPE_DEFAULT", "all"),
        ("BASE_IMAGE_TYPE_ALL", "all"),
        ("BASE_IMAGE_TYPE_NLP", "nlp"),
        ("nlp", "nlp"),
    ],
)
def test_image_types_have_two_names(given: str, image_type: str, ask: Ask, cast: Cast) -> None:
    for kind in ("all", "nlp"):
        factories.make_base_image(image_type=kind)
    body = {"name": "typed", "imageType": given, "pipRequirements": [{"name": "numpy"}]}
    image = ask(cast.member, "POST", "/v1/images", body).json()["image"]
    assert image["imageType"] == image_type
    assert image["rimeImageType"] == f"BASE_IMAGE_TYPE_{image_type.upper()}"


@pytest.mark.parametrize(
    ("image_type", "words"),
    [
        ("BASE_IMAGE_TYPE_SECURITY", "The platform provides no base image of type security"),
        ("BASE_IMAGE_TYPE_TABULAR", "The platform provides no base image of type tabular"),
        ("security", "'all', 'images', 'nlp' or 'tabular'"),
    ],
)
def test_a_type_that_is_not_offered_is_told(
    image_type: str, words: str, ask: Ask, cast: Cast, base: BaseImage
) -> None:
    body = {"name": "none", "imageType": image_type, "pipRequirements": [{"name": "numpy"}]}
    answer = ask(cast.member, "POST", "/v1/images", body)
    assert answer.status_code == 400
    assert words in answer.json()["message"]


def test_a_licence_never_ends_and_has_no_features(ask: Ask, cast: Cast) -> None:
    path = "/v1/feature-flags/instance"
    flags = ask(cast.viewer, "GET", path).json()["featureFlags"]
    assert flags["subscriptionExpirationTime"].startswith("9999")
    assert ask(cast.viewer, "GET", f"{path}/features").json()["enabledFeatures"] == []
    feature = ask(cast.viewer, "GET", f"{path}/features/LICENSE_FEATURE_FIREWALL").json()
    assert feature == {"feature": "LICENSE_FEATURE_FIREWALL", "enabled": False}


@pytest.mark.parametrize(
    ("family", "system", "package_type"),
    [
        ("debian", "debian", "PACKAGE_TYPE_APT"),
        ("", "ubuntu", "PACKAGE_TYPE_APT"),
        ("rhel", "rocky", "PACKAGE_TYPE_ROCKYLINUX"),
        ("", "wolfi", None),
    ],
)
@pytest.mark.parametrize("status", [Status.READY, Status.BUILDING_FIRST_TIME])
@pytest.mark.slow
def test_package_types_are_those_of_the_base_also_before_an_image_is_built(
    family: str, system: str, package_type: str | None, status: Status, ask: Ask, cast: Cast
) -> None:
    base = factories.make_base_image(os_family=family, os_id=system)
    factories.make_image("packed", base=base, status=status)
    ManagedImage.objects.update(os_packages=[{"name": "jq", "version": ""}])
    for image in (
        ask(cast.viewer, "GET", "/v1/images/packed").json()["image"],
        ask(cast.viewer, "GET", "/v1/images").json()["images"][0],
    ):
        (package,) = image["packageRequirements"]
        # An unspecified one is left out: some clients fail at it.
        assert package.get("packageType") == package_type
        assert image["rimeTag"] == base.platform_version


@pytest.mark.parametrize(
    ("source", "reference_type"),
    [
        ("registry:123456789012.dkr.ecr.eu-west-1.amazonaws.com/python:3.11", "EXTERNAL_ECR"),
        ("registry:public.ecr.aws/docker/library/python:3.11", "EXTERNAL_ECR"),
        ("registry:europe-docker.pkg.dev/team/images/python:3.11", "EXTERNAL_GAR"),
        ("registry:python:3.11-slim", None),
        ("registry:gcr.io.example.org/python:3.11", None),
        ("suite:bookworm", None),
    ],
)
def test_the_source_of_a_base_image_has_its_reference_type(
    source: str, reference_type: str | None, ask: Ask, cast: Cast
) -> None:
    factories.make_base_image(source=source)
    (image,) = ask(cast.viewer, "GET", "/v1/base-images").json()["images"]
    expected: dict[str, Any] = {"name": source}
    if reference_type:
        expected["referenceType"] = f"REFERENCE_TYPE_{reference_type}"
    assert image["baseImage"] == expected


@pytest.mark.slow
def test_a_base_image_of_the_catalogue_stands_on_another_and_is_its_child(
    ask: Ask, cast: Cast
) -> None:
    root = factories.make_base_image()
    nlp = factories.make_base_image(image_type="nlp", source="catalogue:nlp", built_on=root)
    factories.make_image("on-root", base=root)
    factories.make_image("on-nlp", base=nlp)
    images = ask(cast.viewer, "GET", "/v1/base-images").json()["images"]
    found = {image["name"]: image for image in images}
    managed = {"referenceType": "REFERENCE_TYPE_MANAGED"}
    assert found["nlp-python3.11"]["baseImage"] == {"name": "all-python3.11", **managed}
    assert found["all-python3.11"]["childImages"] == [
        {"name": "on-root", **managed},
        {"name": "nlp-python3.11", **managed},
    ]
    assert found["nlp-python3.11"]["childImages"] == [{"name": "on-nlp", **managed}]


@pytest.mark.slow
def test_a_firewall_is_a_model_whose_image_is_swapped(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    factories.make_workspace(stranger=(cast.stranger, WorkspaceRole.MEMBER))
    factories.make_image("fire", base=base)
    model = factories.make_model(cast.workspace, name="Churn")
    listed = f"/v1/firewall?firewallIds={model.pk}"
    assert ask(cast.viewer, "GET", listed).json() == {
        "firewalls": [{"id": str(model.pk), "name": "Churn"}]
    }
    body = {"managedImage": {"name": "fire"}}
    path = f"/v1/firewall/components/{model.pk}"
    assert ask(cast.viewer, "PUT", path, body).status_code == 403
    assert ask(cast.member, "PUT", path, {**body, "runCtSchedule": True}).status_code == 400
    assert ask(cast.member, "PUT", path, body).json() == {}
    (firewall,) = ask(cast.viewer, "GET", listed).json()["firewalls"]
    assert firewall["managedImage"]["name"] == "fire"
    for person, where in ((cast.stranger, model.pk), (cast.viewer, cast.workspace.pk)):
        assert ask(person, "GET", f"/v1/firewall?firewallIds={where}").status_code == 404
