"""What an image lacks is told on its page, with one button that alters it so."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from images.models import (
    Alteration,
    BaseImage,
    Build,
    BuildHost,
    LibraryIndex,
    LibraryPackage,
    ManagedImage,
    Status,
)
from images.models.lease import WorkState
from images.queries.missing_libraries import missing_natives
from tests import factories
from tests.cast import Cast

CV2 = "/opt/managed/lib/python3.11/site-packages/cv2/cv2.abi3.so"


def lacks(soname: str, *versions: str) -> dict[str, Any]:
    return {
        "soname": soname, "versions": list(versions), "needed_by": CV2, "library": "opencv-python",
    }  # fmt: skip


@pytest.fixture
def image(cast: Cast) -> ManagedImage:
    base = factories.make_base_image(os_id="debian", os_version="bookworm", os_family="debian")
    missing = [lacks("libGL.so.1"), lacks("libgthread-2.0.so.0"), lacks("libglib-2.0.so.0")]
    BuildHost.objects.create(name="here")
    return factories.make_image(
        "churn",
        base=base,
        created_by=cast.member,
        created_in=cast.workspace,
        missing_libraries=missing,
    )


@pytest.fixture
def index(db: None) -> LibraryIndex:
    index = LibraryIndex.objects.create(
        distribution="debian", version="bookworm", state=WorkState.SUCCEEDED
    )
    LibraryPackage.objects.bulk_create(
        LibraryPackage(index=index, soname=soname, package=package)
        for soname, package in (
            ("libGL.so.1", "libgl1-nvidia-glvnd-glx"),
            ("libGL.so.1", "libgl1"),
            ("libgthread-2.0.so.0", "libglib2.0-0"),
            ("libglib-2.0.so.0", "libglib2.0-0"),
        )
    )
    return index


def address(cast: Cast, route: str) -> str:
    return reverse(route, kwargs={"workspace_id": cast.workspace.pk, "name": "churn"})


def page_of(cast: Cast, user: Any, route: str = "image", query: str = "") -> str:
    return str(cast.client(user).get(address(cast, route) + query).content.decode())


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_page_tells_what_is_missing_and_offers_the_packages(
    cast: Cast, image: ManagedImage
) -> None:
    page = page_of(cast, cast.member)
    assert "cv2 needs libGL.so.1, which is in no layer." in page
    assert "It is in the OS packages libgl1, libgl1-nvidia-glvnd-glx." in page
    assert "Add libgl1, libglib2.0-0</button>" in page


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_who_may_not_alter_the_image_is_told_and_offered_nothing(
    cast: Cast, image: ManagedImage
) -> None:
    page = page_of(cast, cast.viewer)
    assert "cv2 needs libGL.so.1" in page
    assert "Add libgl1" not in page
    refused = cast.client(cast.viewer).post(address(cast, "add_missing_packages"))
    assert refused.status_code == 403


@pytest.mark.usefixtures("index")
def test_the_button_proposes_the_image_with_these_packages(cast: Cast, image: ManagedImage) -> None:
    answer = cast.client(cast.member).post(address(cast, "add_missing_packages"))
    proposed = Alteration.objects.get()
    assert answer["Location"] == reverse(
        "alteration", args=[cast.workspace.pk, "churn", proposed.pk]
    )
    assert [str(package) for package in proposed.spec.os_packages] == ["libgl1", "libglib2.0-0"]
    assert proposed.spec.pip_requirements == image.spec.pip_requirements


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_where_no_os_package_can_be_installed_the_page_says_why(
    cast: Cast, image: ManagedImage
) -> None:
    BuildHost.objects.update(os_packages_problem="buildah is not installed.")
    page = page_of(cast, cast.member)
    assert "OS packages cannot be asked for. buildah is not installed." in page
    assert "Add libgl1" not in page
    refused = cast.client(cast.member).post(address(cast, "add_missing_packages"))
    assert refused.status_code == 400
    assert not Alteration.objects.exists()


@pytest.mark.slow
def test_page_waits_for_packages_that_are_being_looked_up(cast: Cast, image: ManagedImage) -> None:
    LibraryIndex.objects.create(distribution="debian", version="bookworm")
    page = page_of(cast, cast.member)
    assert "The OS packages that have them are being looked up." in page
    assert 'hx-trigger="every' in page
    LibraryIndex.objects.update(state=WorkState.SUCCEEDED)
    assert 'hx-trigger="every' not in page_of(cast, cast.member)


def test_button_without_a_known_package_is_a_sentence(cast: Cast, image: ManagedImage) -> None:
    refused = cast.client(cast.member).post(address(cast, "add_missing_packages"))
    assert refused.status_code == 400
    assert "No OS package is known that churn lacks." in refused.content.decode()


@pytest.mark.slow
def test_older_version_of_a_library_takes_a_newer_base(cast: Cast, image: ManagedImage) -> None:
    Build.objects.update(missing_libraries=[lacks("libc.so.6", "GLIBC_2.38")])
    told = "cv2 needs libc.so.6 with GLIBC_2.38, and the image has an older one"
    assert told in page_of(cast, cast.member)


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_earlier_build_tells_what_it_lacked_and_the_image_nothing(
    cast: Cast, image: ManagedImage
) -> None:
    base = BaseImage.objects.get()
    now = factories.make_build(image, base, Status.READY, number=2)
    ManagedImage.objects.update(current_build=now)
    assert "native libraries" not in page_of(cast, cast.member)
    page = page_of(cast, cast.member, "image_builds", "?build=1")
    assert "The image of build 1 lacks native libraries" in page
    assert "Add libgl1" not in page


@pytest.mark.usefixtures("index")
def test_package_named_after_the_library_is_told_first(image: ManagedImage) -> None:
    LibraryPackage.objects.filter(package="libglib2.0-0").update(package="libglib2.0-0t64")
    index = LibraryIndex.objects.get()
    for name in ("aaa", "bbb", "ccc"):
        LibraryPackage.objects.create(index=index, soname="libglib-2.0.so.0", package=name)
    told = {item.soname: item.packages for item in missing_natives(image.current_build)}
    assert told["libGL.so.1"] == ("libgl1", "libgl1-nvidia-glvnd-glx")
    assert told["libglib-2.0.so.0"] == ("libglib2.0-0t64", "aaa", "bbb")
