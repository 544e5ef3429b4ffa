"""What REST tells of the trial of an image's imports, and what it takes to have one."""

from __future__ import annotations

from typing import Any

import pytest

from images.models import BaseImage, ImportCheck, ManagedImage
from images.models.lease import WorkState
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast

FAILURE = {
    "module": "cv2",
    "requirement": "opencv-python",
    "message": "ImportError: libGL.so.1: cannot open shared object file",
    "hint": "Add the OS package libgl1.",
}


@pytest.fixture
def image(base: BaseImage, cast: Cast) -> ManagedImage:
    return factories.make_image(
        "churn", base=base, created_by=cast.member, created_in=cast.workspace
    )


def told(ask: Ask, cast: Cast) -> Any:
    return ask(cast.viewer, "GET", "/v1/images/churn").json()["image"].get("importCheck")


@pytest.mark.slow
def test_the_result_is_part_of_the_image(ask: Ask, cast: Cast, image: ManagedImage) -> None:
    assert told(ask, cast) is None
    build = image.current_build
    assert build is not None
    ImportCheck.objects.create(manifest_digest=build.manifest_digest, build=build)
    assert told(ask, cast)["status"] == "PENDING"
    ImportCheck.objects.update(
        state=WorkState.SUCCEEDED, result="failed", tried=12, failed=[FAILURE], seconds=1.9,
        conflicts=[{"library": "a", "requirement": "b", "message": "a requires b."}],
    )  # fmt: skip
    assert told(ask, cast) == {
        "status": "FAILED",
        "tried": 12,
        "failed": [FAILURE],
        "conflicts": [{"library": "a", "requirement": "b", "message": "a requires b."}],
        "seconds": 1.9,
        "message": "",
    }
    (listed,) = ask(cast.viewer, "GET", "/v1/images").json()["images"]
    assert listed["importCheck"]["status"] == "FAILED"


def test_an_owner_has_them_tried_again(ask: Ask, cast: Cast, image: ManagedImage) -> None:
    answer = ask(cast.member, "POST", "/v1/images/churn:checkImports")
    assert answer.status_code == 200
    assert answer.json()["image"]["importCheck"]["status"] == "PENDING"
    again = ask(cast.member, "POST", "/v1/images/churn:checkImports")
    assert again.status_code == 409


@pytest.mark.slow
def test_the_policy_is_set_when_it_is_created_and_later(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    body = {
        "name": "strict",
        "pipRequirements": [{"name": "numpy", "versionSpecifier": ""}],
        "importPolicy": "refuse",
    }
    created = ask(cast.member, "POST", "/v1/images", body).json()["image"]
    assert created["importPolicy"] == "refuse"
    address = "/v1/images/strict:setImportPolicy"
    for policy in ("warn", ""):
        changed = ask(cast.member, "POST", address, {"importPolicy": policy}).json()["image"]
        assert changed["importPolicy"] == policy
    refused = ask(cast.member, "POST", address, {"importPolicy": "sometimes"})
    assert refused.status_code == 400
