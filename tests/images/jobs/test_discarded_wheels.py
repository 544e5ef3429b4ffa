"""What was built from source before each build had a sandbox of its own is forgotten, and made anew."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.urls import reverse

from images.jobs import upgrades
from images.models import (
    BaseImage,
    Build,
    BuildLayer,
    BuildReason,
    BuiltWheel,
    CachedLayer,
    InstalledLibrary,
    ManagedImage,
    Status,
)
from images.operations import builds
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor

pytestmark = pytest.mark.django_db
migration = import_module("images.migrations.0019_discard_shared_source_builds")


class FormerNames:
    """Today's models, found by the names that they had at the time of the migration."""

    RENAMED = {"WheelLayer": "CachedLayer"}

    def get_model(self, app: str, name: str) -> Any:
        return apps.get_model(app, self.RENAMED.get(name, name))


def holding(image: ManagedImage, name: str, sha256: str) -> Build:
    build = image.current_build
    assert build is not None
    InstalledLibrary.objects.create(
        build=build,
        name=name,
        normalized_name=name,
        version="1.0",
        normalized_version="1",
        current_of=image.name,
        sha256=sha256,
    )
    layer = CachedLayer.objects.create(
        key=f"key of {name}",
        digest=factories.digest(name),
        diff_id=factories.digest(name),
        size_bytes=1,
        title=f"{name} 1.0",
    )
    BuildLayer.objects.create(build=build, layer=layer, position=90)
    return build


@pytest.fixture
def poisoned(base: BaseImage) -> ManagedImage:
    image = factories.make_image("poisoned", base=base)
    holding(image, "built", "b" * 64)
    BuiltWheel.objects.create(
        key="old", filename="built-1.0-py3-none-any.whl", sha256="b" * 64, size_bytes=1
    )
    image.refresh_from_db()
    return image


def test_wheels_and_their_layers_are_forgotten_and_others_stay(
    poisoned: ManagedImage, base: BaseImage
) -> None:
    honest = factories.make_image("honest", base=base)
    holding(honest, "downloaded", "d" * 64)
    migration.discard(FormerNames(), None)
    assert not BuiltWheel.objects.exists()
    assert not CachedLayer.objects.filter(key="key of built").exists()
    assert CachedLayer.objects.filter(key="key of downloaded").exists()
    honest.refresh_from_db()
    poisoned.refresh_from_db()
    assert (honest.status, poisoned.status) == (Status.READY, Status.OUTDATED)
    assert honest.current_build is not None
    assert honest.current_build.renewal == ""


@pytest.mark.slow
def test_an_image_that_holds_one_is_built_anew_by_the_platform_and_says_why(
    poisoned: ManagedImage, base: BaseImage, cast: Cast
) -> None:
    migration.discard(FormerNames(), None)
    page = reverse("image", kwargs={"workspace_id": cast.workspace.pk, "name": poisoned.name})
    assert (
        b"before each build was kept apart from the rest"
        in cast.client(cast.member).get(page).content
    )
    before = poisoned.current_build
    assert upgrades.dispatch() == 1
    build = poisoned.builds.first()
    assert build is not None
    assert before is not None
    assert (build.reason, build.lock, build.spec) == (BuildReason.RENEW, before.lock, before.spec)
    # One that was cancelled leaves it where it was: to be made anew.
    builds.cancel_build(Actor(cast.admin), poisoned)
    poisoned.refresh_from_db()
    assert poisoned.status == Status.OUTDATED


def test_an_image_whose_last_alteration_failed_gets_what_it_has_anew(
    poisoned: ManagedImage, base: BaseImage
) -> None:
    build = poisoned.current_build
    assert build is not None
    ManagedImage.objects.update(status=Status.FAILED, python_version="3.12")
    migration.discard(FormerNames(), None)
    assert upgrades.dispatch() == 1
    poisoned.refresh_from_db()
    assert poisoned.python_version == build.spec.python_version
