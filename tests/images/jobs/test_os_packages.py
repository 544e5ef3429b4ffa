"""OS packages in builds: really installed, one cached layer, refused where no worker can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from images.api import present
from images.building.containers import container
from images.jobs import build as run
from images.models import BaseImage, BuildHost, ManagedImage, Status
from images.models.lease import WorkState
from images.operations.images import create_image
from images.requirements import OSPackage, parse_os_packages
from images.spec import ImageSpec
from tests import factories
from tests.builds import build_now, pulled, runs_in
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor

needs_buildah = needs("containers")
real = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]


def apply(marks: list[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        for mark in marks:
            test = mark(test)
        return test

    return decorate


def ask_packages(cast: Cast, name: str, packages: str) -> ManagedImage:
    BuildHost.objects.get_or_create(name="here")
    return create_image(
        Actor(cast.member),
        name,
        ImageSpec("all", "3.11", os_packages=tuple(parse_os_packages(packages))),
    )


@needs_buildah
@apply(real)
def test_a_package_is_installed_and_its_layer_is_shared(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    image = build_now(registry, ask_packages(cast, "with-jq", "jq"))
    build = image.builds.get()
    assert image.status == Status.READY, f"{build.error_message} {build.error_hint}"
    log = "".join(chunk.text for chunk in build.log_chunks.all())
    assert "Setting up jq" in log
    root = pulled(registry, image, tmp_path)
    assert runs_in(root, "jq", "--version").startswith("jq-")
    assert not list((root / "var/lib/apt/lists").glob("*Packages*"))
    assert not list((root / "var/cache/apt").glob("*.bin"))
    layer = build.layers.get(layer__title="OS packages: jq").layer
    assert layer.size_bytes < 3_000_000
    second = build_now(registry, ask_packages(cast, "with-jq-too", "jq"))
    again = "".join(c.text for c in second.builds.get().log_chunks.all())
    assert "mounted OS packages: jq" in again
    assert "Setting up jq" not in again


@needs_buildah
@apply(real)
@pytest.mark.parametrize("packages", ["ri-no-such-package", "jq=0.0.1-nothing", "libjq."])
def test_what_the_system_does_not_offer_fails_with_its_words(
    packages: str,
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    settings: Any,
    tmp_path: Path,
) -> None:
    # A path may hold characters that the name of an image may not.
    settings.CACHE_DIR = tmp_path / "Cache_"
    image = build_now(registry, ask_packages(cast, f"bad-{len(packages)}", packages))
    build = image.builds.get()
    assert (image.status, build.error_code) == (Status.FAILED, "build_failed")
    assert "The OS packages cannot be installed. E: " in build.error_message


def test_a_worker_without_buildah_leaves_such_builds_to_others(
    base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "problem", lambda: "buildah is not installed.")
    image = factories.make_image("needs", base=base, status=Status.BUILDING_FIRST_TIME)
    build = image.builds.get()
    image.builds.update(spec=replace(build.spec, os_packages=(OSPackage("jq"),)))
    run.run(build.pk)
    build.refresh_from_db()
    assert (build.state, build.attempts) == (WorkState.QUEUED, 0)


@pytest.mark.parametrize(
    ("problems", "words"),
    [
        ([], b"while no builds worker is running"),
        (["buildah is not installed on the builds workers."], b"buildah is not installed"),
    ],
)
@pytest.mark.slow
def test_the_form_refuses_with_the_reason_where_no_worker_can(
    problems: list[str], words: bytes, cast: Cast, base: BaseImage
) -> None:
    for problem in problems:
        BuildHost.objects.create(name="host", os_packages_problem=problem)
    url = reverse("new_image", kwargs={"workspace_id": cast.workspace.pk})
    assert words in cast.client(cast.member).get(url).content
    answer = cast.client(cast.member).post(
        url,
        {"name": "x1", "image_type": "all", "python_version": "3.11",
         "pip_requirements": "numpy", "os_packages": "jq"},
    )  # fmt: skip
    assert answer.status_code == 422
    BuildHost.objects.create(name="able")
    assert words not in cast.client(cast.member).get(url).content


@pytest.mark.parametrize(
    ("recorded", "system", "family", "package_type"),
    [
        ("debian", "debian", "debian", "PACKAGE_TYPE_APT"),
        ("", "ubuntu", "debian", "PACKAGE_TYPE_APT"),
        ("rhel", "rocky", "rhel", "PACKAGE_TYPE_ROCKYLINUX"),
        ("", "almalinux", "rhel", "PACKAGE_TYPE_ROCKYLINUX"),
    ],
)
def test_the_family_of_a_base_decides_the_type_of_its_packages(
    recorded: str, system: str, family: str, package_type: str
) -> None:
    base = BaseImage(os_family=recorded, os_id=system)
    assert base.packages_by is not None
    assert base.packages_by.name == family
    spec = ImageSpec("all", "3.11", (), (OSPackage("jq"),))
    told = present.spec(spec, base)["package_requirements"]
    assert [package["package_type"] for package in told] == [package_type]


def test_a_system_of_no_family_has_no_package_type() -> None:
    assert BaseImage(os_family="other", os_id="alpine").packages_by is None
