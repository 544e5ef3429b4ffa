"""The way of a swap through the code: the modules that a reader opens, and how often the way turns back.

It is measured, not counted by hand: a profile hook sees every call of the platform's own functions from the
entry of the console's view to its end (docs/decisions/0013-the-house.md).
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse

from images.models import Assignment, BaseImage, MLModel
from images.views import swaps
from tests import factories
from tests.cast import Cast

pytestmark = pytest.mark.slow

RETURNS = 3
# The ORM calls it for each row with such a column; nobody who reads the way goes there.
CONVERSION = "from_db_value"


class Walk:
    """The modules whose functions are called while a view runs."""

    def __init__(self, module: str, view: str) -> None:
        self.start = (module, view)
        self.view: FrameType | None = None
        self.conversion: FrameType | None = None
        self.calls: list[str] = []

    def __enter__(self) -> Walk:
        sys.setprofile(self.see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def see(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "return" and frame is self.view:
            self.view = None
        if event == "return" and frame is self.conversion:
            self.conversion = None
        name, module = frame.f_code.co_name, module_of(frame)
        if event != "call" or not module or self.conversion or name.startswith("<"):
            return
        if name == CONVERSION:
            self.conversion = frame
            return
        if (module, name) == self.start:
            self.view = frame
        if self.view:
            self.calls.append(module)

    @property
    def stays(self) -> list[str]:
        """The way: consecutive calls in one module are one stay."""
        return [module for module, _ in groupby(self.calls)]

    @property
    def modules(self) -> list[str]:
        return list(dict.fromkeys(self.calls))

    @property
    def returns(self) -> int:
        """How often the way comes back to a module that it has left."""
        return len(self.stays) - len(self.modules)


def module_of(frame: FrameType) -> str:
    """The module of a function of the platform, as a path; empty for libraries' functions."""
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(settings.BASE_DIR):
        return ""
    inside = path.relative_to(settings.BASE_DIR)
    return inside.as_posix() if inside.parts[0] in {"images", "workspaces", "ri_platform"} else ""


@pytest.fixture
def model(cast: Cast, base: BaseImage) -> MLModel:
    old = factories.make_image("old", base=base)
    factories.make_image("new", base=base)
    return factories.make_model(cast.workspace, image=old, name="Churn")


@pytest.mark.parametrize(
    ("build", "modules"),
    [pytest.param("", 8, id="follows the image"), pytest.param("1", 11, id="pinned to a build")],
)
def test_the_way_of_a_swap_is_short(cast: Cast, model: MLModel, build: str, modules: int) -> None:
    client = cast.client(cast.member)
    address = reverse("swap_managed", args=[cast.workspace.pk, model.pk, "new"])
    with Walk("images/views/swaps.py", swaps.swap_to_managed_image.__name__) as walk:
        response = client.post(address, {"build": build})
    assert response.status_code == 302
    assert Assignment.objects.current().get(model=model).image_name == "new"
    way = " -> ".join(walk.stays)
    assert len(walk.modules) <= modules, way
    assert walk.returns <= RETURNS, way
