"""The trial of an image's imports in the console: a mark in the pane, the failures on the image's page."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from images.models import BaseImage, ImportCheck, ManagedImage
from images.models.lease import WorkState
from tests import factories
from tests.cast import Cast
from workspaces.models import User

FAILURE = {
    "module": "cv2",
    "requirement": "opencv-python",
    "message": "Traceback\nImportError: <libGL.so.1>: cannot open shared object file",
    "hint": "Add the OS package that brings libGL.so.1.",
}


@pytest.fixture
def image(base: BaseImage, cast: Cast) -> ManagedImage:
    return factories.make_image(
        "churn", base=base, created_by=cast.member, created_in=cast.workspace
    )


def end(image: ManagedImage, result: str, **values: Any) -> None:
    build = image.current_build
    assert build is not None
    ImportCheck.objects.create(
        manifest_digest=build.manifest_digest,
        build=build,
        state=WorkState.SUCCEEDED,
        result=result,
        **values,
    )


def page(cast: Cast, user: User, route: str = "image") -> str:
    names = {} if route == "images" else {"name": "churn"}
    address = reverse(route, kwargs={"workspace_id": cast.workspace.pk, **names})
    text: str = cast.client(user).get(address).content.decode()
    return text


@pytest.mark.slow
def test_the_pane_has_a_mark_with_words(cast: Cast, image: ManagedImage) -> None:
    assert "import-mark" not in page(cast, cast.viewer, "images")
    end(image, "passed", tried=12, seconds=1.94)
    pane = page(cast, cast.viewer, "images")
    assert "import-mark-passed" in pane
    assert '<span class="visually-hidden">Imports: 12 of 12 in 1.9 s</span>' in pane


@pytest.mark.slow
def test_both_pages_are_polled_until_it_has_ended(cast: Cast, image: ManagedImage) -> None:
    build = image.current_build
    assert build is not None
    ImportCheck.objects.create(manifest_digest=build.manifest_digest, build=build)
    for route in ("images", "image"):
        shown = page(cast, cast.viewer, route)
        assert 'hx-trigger="every' in shown
        assert "Imports are being tried" in shown
    ImportCheck.objects.update(state=WorkState.SUCCEEDED, result="passed")
    for route in ("images", "image"):
        assert 'hx-trigger="every' not in page(cast, cast.viewer, route)


@pytest.mark.slow
def test_failures_are_a_list_with_what_helps(cast: Cast, image: ManagedImage) -> None:
    conflict = {
        "library": "a",
        "requirement": "b>=2",
        "message": "a 1 requires b>=2, but 1 is there.",
    }
    end(image, "failed", tried=3, failed=[FAILURE], conflicts=[conflict], seconds=0.5)
    shown = page(cast, cast.viewer)
    assert "Imports: 2 of 3 in 0.5 s" in shown
    assert "ImportError: &lt;libGL.so.1&gt;" in shown
    assert FAILURE["hint"] in shown
    assert "a 1 requires b&gt;=2, but 1 is there." in shown


@pytest.mark.slow
def test_what_was_not_tried_says_why(cast: Cast, image: ManagedImage) -> None:
    end(image, "skipped", reason="The builds workers cannot make sandboxes.")
    assert "The builds workers cannot make sandboxes." in page(cast, cast.viewer)


@pytest.mark.slow
def test_an_owner_has_them_tried_again_and_chooses_the_policy(
    cast: Cast, image: ManagedImage
) -> None:
    end(image, "failed", failed=[FAILURE], tried=1)
    assert "Try again" not in page(cast, cast.viewer)
    assert "Try again" in page(cast, cast.member)
    names = {"workspace_id": cast.workspace.pk, "name": "churn"}
    client = cast.client(cast.member)
    assert client.post(reverse("check_imports", kwargs=names)).status_code == 302
    assert ImportCheck.objects.get().status == "PENDING"
    policy = reverse("set_import_policy", kwargs=names)
    assert client.post(policy, {"import_policy": "refuse"}).status_code == 302
    image.refresh_from_db()
    assert image.import_policy == "refuse"
    assert '<option value="refuse" selected>' in page(cast, cast.member)


def test_a_new_image_takes_a_policy(cast: Cast, base: BaseImage) -> None:
    address = reverse("new_image", kwargs={"workspace_id": cast.workspace.pk})
    form = {
        "name": "strict",
        "image_type": "all",
        "python_version": "3.11",
        "pip_requirements": "numpy",
        "os_packages": "",
        "import_policy": "refuse",
    }
    assert cast.client(cast.member).post(address, form).status_code == 302
    assert ManagedImage.objects.get(name="strict").import_policy == "refuse"
