"""The user that an image runs as: its base's own, else one without rights, unless root is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from images.building.user import USER, User
from images.jobs.composition import user_of_images
from images.models import BaseImage


@pytest.mark.parametrize(
    ("own", "as_root", "runs_as"),
    [
        ("", False, USER),
        (None, False, USER),
        ("", True, None),
        ("root", False, None),
        ("1000", False, None),
    ],
)
def test_an_image_runs_as_its_bases_user_else_as_one_without_rights(
    own: str | None, as_root: bool, runs_as: User | None, settings: Any
) -> None:
    settings.IMAGES_RUN_AS_ROOT = as_root
    assert user_of_images(BaseImage(config={"config": {"User": own}})) == runs_as


def test_a_base_whose_config_says_nothing_names_no_user() -> None:
    assert user_of_images(BaseImage(config={"config": None})) == USER
