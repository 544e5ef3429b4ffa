"""What an image lacks is told over REST, with the image and with each of its builds."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from images.models import BaseImage, ManagedImage, Status
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast

GL = {
    "soname": "libGL.so.1",
    "versions": [],
    "neededBy": "/opt/managed/lib/python3.11/site-packages/cv2/cv2.abi3.so",
    "requirement": "opencv-python",
    "packages": ["libgl1"],
}


@pytest.fixture
def image(base: BaseImage) -> ManagedImage:
    return factories.make_lacking_image("churn", base=base)


@pytest.mark.usefixtures("image")
@pytest.mark.slow
def test_image_and_its_build_tell_what_is_missing(ask: Ask, cast: Cast) -> None:
    told = ask(cast.viewer, "GET", "/v1/images/churn").json()["image"]
    assert told["missingLibraries"] == told["latestBuild"]["missingLibraries"] == [GL]
    build = ask(cast.viewer, "GET", "/v1/images/churn/builds/1").json()["build"]
    assert build["missingLibraries"] == [GL]


@pytest.mark.slow
def test_image_tells_of_its_current_build_and_not_of_a_newer_one(
    ask: Ask, cast: Cast, image: ManagedImage, base: BaseImage
) -> None:
    factories.make_build(image, base, Status.FAILED, number=2)
    told = ask(cast.viewer, "GET", "/v1/images/churn").json()["image"]
    assert (told["missingLibraries"], told["latestBuild"]["missingLibraries"]) == ([GL], [])


def test_packages_of_many_builds_take_one_query(
    ask: Ask,
    cast: Cast,
    image: ManagedImage,
    base: BaseImage,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    missing = image.builds.get().missing_libraries
    for number in range(2, 12):
        factories.make_build(image, base, Status.READY, number=number, missing_libraries=missing)
    with django_assert_max_num_queries(20) as queries:
        told = ask(cast.viewer, "GET", "/v1/images/churn/builds").json()["builds"]
    assert [build["missingLibraries"] for build in told] == [[GL]] * 11
    asked = [query for query in queries.captured_queries if "librarypackage" in query["sql"]]
    assert len(asked) == 1
