"""Images that already have what somebody asks for, the best first, and what the others lack."""

from __future__ import annotations

import pytest

from images.models import BaseImage, ManagedImage, Status
from images.queries.matching import Match, Missing, match_images, requirements_on_build
from images.requirements import OSPackage, PipRequirement
from images.spec import ImageSpec
from tests import factories
from tests.cast import Cast


def wanted(
    *requirements: PipRequirement,
    image_type: str = "",
    python_version: str = "",
    os_packages: tuple[OSPackage, ...] = (),
) -> ImageSpec:
    """What is asked for, of any image type and Python unless they are given."""
    return ImageSpec(image_type, python_version, requirements, os_packages)


def names(matches: list[Match]) -> list[str]:
    return [match.image.name for match in matches]


NUMPY, PANDAS = PipRequirement("NumPy", specifier=">=2"), PipRequirement("pandas")


@pytest.mark.slow
def test_fewest_missing_come_first_then_fewest_conflicts_then_the_smallest(
    cast: Cast, base: BaseImage
) -> None:
    for name, libraries in {
        "large": {"numpy": "2.4.6", "pandas": "3.0.1", "scipy": "1.18"},
        "small": {"numpy": "2.4.6", "pandas": "3.0.1"},
        "old": {"numpy": "1.26.4", "pandas": "3.0.1"},
        "half": {"numpy": "2.4.6"},
        "other": {"torch": "2.9"},
    }.items():
        factories.make_image(name, base=base, libraries=libraries)
    found = match_images(cast.viewer, wanted(NUMPY, PANDAS))
    assert names(found) == ["small", "large", "half", "old"]
    assert [match.satisfies for match in found] == [True, True, False, False]
    assert found[2].missing == (Missing("pandas"),)
    assert found[3].missing == (Missing("NumPy>=2", "1.26.4"),)
    assert [match.only_conflicts for match in found[2:]] == [False, True]
    assert names(match_images(cast.viewer, wanted(NUMPY, PANDAS), limit=1)) == ["small"]


def test_a_prerelease_meets_what_it_is_late_enough_for(cast: Cast, base: BaseImage) -> None:
    factories.make_image("early", base=base, libraries={"numpy": "3.0.0rc1"})
    assert match_images(cast.viewer, wanted(NUMPY))[0].satisfies


def test_only_images_that_can_be_pulled_are_offered(cast: Cast, base: BaseImage) -> None:
    for status in Status:
        factories.make_image(f"is-{status.lower().replace('_', '-')}", base=base, status=status)
    found = names(match_images(cast.viewer, wanted(NUMPY)))
    assert found == ["is-outdated", "is-ready", "is-rebuilding"]


def test_an_image_of_another_python_or_type_is_left_out(cast: Cast, base: BaseImage) -> None:
    factories.make_image("churn", base=base)
    assert names(match_images(cast.viewer, wanted(NUMPY, python_version="3.11"))) == ["churn"]
    assert not match_images(cast.viewer, wanted(NUMPY, python_version="3.13"))
    assert not match_images(cast.viewer, wanted(NUMPY, image_type="gpu"))


def test_looked_for_by_name_an_image_is_shown_whatever_it_lacks(
    cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base, libraries={"torch": "2.9"})
    factories.make_image("churn-numpy", base=base)
    factories.make_image("other", base=base)
    found = match_images(cast.viewer, wanted(NUMPY), name="CHURN")
    assert names(found) == ["churn-numpy", "churn"]
    assert found[1].missing == (Missing("NumPy>=2"),)


def test_without_requirements_the_smallest_come_first(cast: Cast, base: BaseImage) -> None:
    factories.make_image("large", base=base, libraries={"numpy": "2.4.6", "pandas": "3.0.1"})
    factories.make_image("small", base=base)
    found = match_images(cast.viewer, wanted())
    assert names(found) == ["small", "large"]
    assert all(match.satisfies for match in found)


def test_an_os_package_counts_in_the_version_that_was_asked_for(
    cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base)
    image.os_packages = [{"name": "libgomp1", "version": "12.2"}]
    image.save()
    image.builds.update(spec=image.spec)

    def missing(package: OSPackage) -> tuple[Missing, ...]:
        (match,) = match_images(cast.viewer, wanted(NUMPY, os_packages=(package,)))
        return match.missing

    assert missing(OSPackage("libgomp1")) == ()
    assert missing(OSPackage("libgomp1", "12.2")) == ()
    (conflict,) = missing(OSPackage("libgomp1", "13"))
    assert (conflict.installed, conflict.conflicts) == ("12.2", True)


@pytest.fixture
def image(base: BaseImage) -> ManagedImage:
    return factories.make_image("churn", base=base, libraries={"numpy": "1.26.4", "attrs": "24.1"})


def test_each_of_a_models_requirements_is_held_against_a_build(
    cast: Cast, image: ManagedImage
) -> None:
    requirements = [
        {"name": "numpy", "extras": [], "specifier": ">=2"},
        {"name": "attrs", "extras": [], "specifier": ""},
        {"name": "pandas", "extras": [], "specifier": ""},
    ]
    model = factories.make_model(cast.workspace, pip_requirements=requirements)
    told = [
        (item.text, item.installed, item.met)
        for item in requirements_on_build(model, image.current_build)
    ]
    assert told == [("numpy>=2", "1.26.4", False), ("attrs", "24.1", True), ("pandas", "", False)]
    assert not any(item.met for item in requirements_on_build(model, None))
