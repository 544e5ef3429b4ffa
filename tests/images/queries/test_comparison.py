"""Two images, or two revisions of one, beside each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from images.models import BaseImage, InstalledLibrary, Status
from tests import factories
from tests.cast import Cast


@pytest.fixture
def images(cast: Cast, base: BaseImage) -> None:
    BaseImage.objects.filter(pk=base.pk).update(os_packages=[["libc6", "2.36"]])
    other = factories.make_base_image(
        image_type="nlp", os_packages=[["libc6", "2.41"], ["curl", "8"]]
    )
    churn = factories.make_image(
        "churn", base=base, libraries={"numpy": "2.4.6", "six": "1.17.0", "pandas": "3.0"}
    )
    factories.make_image(
        "fraud", base=other, libraries={"numpy": "2.5.0", "pandas": "3.0", "torch": "2.9"}
    )
    older = factories.make_build(churn, base, Status.READY, number=2)
    InstalledLibrary.objects.bulk_create(factories.libraries_of(older, {"numpy": "1.26"}))
    factories.make_image("never", base=base, status=Status.FAILED)


def compared(cast: Cast, query: str) -> Any:
    address = reverse("compare_images", kwargs={"workspace_id": cast.workspace.pk})
    return cast.client(cast.viewer).get(address + query)


@pytest.mark.slow
def test_two_images_are_compared_by_address(cast: Cast, images: None) -> None:
    page = compared(cast, "?a=churn&b=fraud")
    found = page.context["comparison"].libraries
    assert [(c.name, c.before, c.after) for c in found.changed] == [("numpy", "2.4.6", "2.5.0")]
    assert [c.name for c in found.only_left] == ["six"]
    assert [c.name for c in found.only_right] == ["torch"]
    assert found.same == 1
    system = page.context["comparison"].os_packages
    assert [c.name for c in system.changed] == ["libc6"]
    assert [c.name for c in system.only_right] == ["curl"]
    text = page.content.decode()
    for words in ("Only in", "Different versions", "1 the same", "nlp-python3.11", "172.6\xa0MB"):
        assert words in text


@pytest.mark.slow
def test_two_revisions_of_one_image_are_compared(cast: Cast, images: None) -> None:
    found = compared(cast, "?a=churn:build-2&b=churn").context["comparison"].libraries
    assert [(c.name, c.before, c.after) for c in found.changed] == [("numpy", "1.26", "2.4.6")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "There is no managed image named nothing."),
        ("churn:build-9", "churn has no revision build-9."),
        ("churn:latest", "churn has no revision latest."),
        ("never", "No build of never has succeeded yet."),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_compared_is_told_at_its_field(
    name: str, words: str, cast: Cast, images: None
) -> None:
    page = compared(cast, f"?a={name}&b=fraud")
    assert page.status_code == 422
    assert words in page.context["errors"]["a"]
    assert b'value="fraud"' in page.content


def test_one_side_alone_waits_for_the_other(cast: Cast, images: None) -> None:
    page = compared(cast, "?a=churn")
    assert page.status_code == 200
    assert b"Choose two images" in page.content


def suggested(cast: Cast, route: str, **typed: str) -> list[str]:
    address = reverse(route, kwargs={"workspace_id": cast.workspace.pk})
    page = cast.client(cast.viewer).get(address, typed)
    found: list[str] = page.context["suggestions"]
    assert page.content.count(b'role="option"') == len(found)
    return found


@pytest.mark.slow
def test_images_and_their_revisions_are_suggested(cast: Cast, images: None) -> None:
    assert suggested(cast, "suggest_images", a="R") == ["churn", "fraud"]
    assert suggested(cast, "suggest_images", b="fra") == ["fraud"]
    assert suggested(cast, "suggest_images", a="churn:") == ["churn:build-2", "churn:build-1"]
    assert suggested(cast, "suggest_images", a="never") == []


@pytest.mark.slow
def test_libraries_and_their_versions_are_suggested(cast: Cast, images: None) -> None:
    assert suggested(cast, "suggest_libraries", library="") == []
    assert suggested(cast, "suggest_libraries", library="P") == ["pandas"]
    assert suggested(cast, "suggest_libraries", library="tor") == ["torch"]
    assert suggested(cast, "suggest_libraries", library="NumPy==") == [
        "numpy==2.5.0", "numpy==2.4.6",
    ]  # fmt: skip
    assert suggested(cast, "suggest_libraries", library="numpy==2.4") == ["numpy==2.4.6"]
    assert suggested(cast, "suggest_libraries", library="numpy==1") == []  # In no image now.
