"""Annotations tell where an image comes from, and the same inputs always give the same ones."""

from __future__ import annotations

from typing import Any

from images.annotations import annotations_of, newest_input
from images.jobs.composition import compose
from images.models import BaseImage, ManagedImage
from images.operations.images import describe_image
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor

LOCK = """
lock-version = "1.0"
[[packages]]
name = "six"
version = "1.17.0"
[[packages.wheels]]
url = "https://files.example/six.whl"
upload-time = 2024-12-04T17:35:26+01:00
[[packages]]
name = "numpy"
version = "2.4.6"
sdist = {url = "https://files.example/numpy.tar.gz", upload-time = 2025-03-01T00:00:00Z}
"""


def test_an_image_names_what_it_was_made_of(base: BaseImage, settings: Any) -> None:
    settings.REGISTRY_HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    settings.IMAGE_VENDOR = "Example Ltd"
    settings.CONSOLE_URL = "https://images.example.com"
    image = factories.make_image("churn", base=base, lock=LOCK, description="It scores.")
    build = image.builds.get()
    found = annotations_of(build)
    prefix = "org.opencontainers.image."
    assert {name.removeprefix(prefix): value for name, value in found.items()} == {
        "title": "churn",
        "description": "It scores.",
        "created": "2025-03-01T00:00:00Z",
        "revision": found[f"{prefix}revision"],
        "source": "https://images.example.com/images/churn",
        "vendor": "Example Ltd",
        "base.name": f"{settings.REGISTRY_HOST}/{base.repository}:{base.platform_version}",
        "base.digest": base.manifest_digest,
    }
    assert found[f"{prefix}revision"].startswith("sha256:")


def test_an_image_of_an_instance_that_names_no_address_names_no_source(base: BaseImage) -> None:
    build = factories.make_image("churn", base=base, lock=LOCK).builds.get()
    assert "org.opencontainers.image.source" not in annotations_of(build)


def test_the_age_is_that_of_the_newest_input(base: BaseImage) -> None:
    base.config = {"created": "2025-06-01T02:00:00+02:00"}
    assert newest_input(LOCK, base) == "2025-06-01T00:00:00Z"
    for created in (None, "yesterday", 7):
        base.config = {"created": created}
        assert newest_input(LOCK, base) == "2025-03-01T00:00:00Z"
        assert newest_input("", base) == "1970-01-01T00:00:00Z"


def test_another_description_changes_no_image_that_is_there(cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("churn", base=base, created_by=cast.member)
    build = image.builds.get()
    before = compose(build, [])
    describe_image(Actor(cast.member), image, "It scores.")
    build = ManagedImage.objects.get().builds.get()
    assert compose(build, []) == before
    build.description = "It scores."
    after = compose(build, [])
    assert (after.digest != before.digest, after.config) == (True, before.config)
