"""An adopted image says what it is made of; other images are made of what this instance knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.jobs import adoption
from images.models import (
    BaseImage,
    BuildHost,
    BuildLayer,
    CachedLayer,
    ManagedImage,
    Status,
    UnknownRepository,
)
from images.operations import unknown_repositories
from images.operations.images import create_image
from images.requirements import parse_os_packages
from images.spec import ImageSpec
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.images.verification import forged, pushed
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

TITLE = "OS packages: jq"


def with_jq(cast: Cast, aws: LocalAWS, name: str) -> ManagedImage:
    """An image that is built with an OS package."""
    BuildHost.objects.get_or_create(name="here")
    spec = ImageSpec("all", "3.11", os_packages=tuple(parse_os_packages("jq")))
    image = build_now(aws, create_image(Actor(cast.member), name, spec))
    build = image.builds.get()
    assert image.status == Status.READY, f"{build.error_message} {build.error_hint}"
    return image


def layers_of(image: ManagedImage) -> dict[str, CachedLayer]:
    """Title → layer of the image's current build."""
    uses = BuildLayer.objects.filter(build=image.current_build).select_related("layer")
    return {use.layer.title: use.layer for use in uses}


def adopt_newer(cast: Cast, aws: LocalAWS, name: str) -> ManagedImage:
    """The image, once an administrator has its build 2 adopted."""
    UnknownRepository.objects.create(name=name, tags=["build-2"], of_known_image=True)
    row = unknown_repositories.adopt_repository(Actor(cast.admin), name)
    with aws.identity("build-jobs"):
        adoption.adopt(row.pk)
    row.refresh_from_db()
    image = ManagedImage.objects.get(name=name)
    assert image.current_build is not None
    assert image.current_build.number == 2, row.error_message
    return image


@needs("containers")
@pytest.mark.parametrize("is_known", [False, True])
def test_a_layer_that_claims_to_be_of_os_packages_is_in_no_other_image(
    is_known: bool, cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    before = layers_of(with_jq(cast, registry, "before"))[TITLE] if is_known else None
    build_now(registry, ask(cast, "truth", "pyjokes==0.6.0"))
    with registry.client() as client:
        repository = f"{pushed.PREFIX}/truth"
        digest = forged.push_with_layer(client, repository, TITLE, "jq", tmp_path)
    adopted = adopt_newer(cast, registry, "truth")
    assert layers_of(adopted)[TITLE].digest == digest

    honest = layers_of(with_jq(cast, registry, "honest"))[TITLE]
    assert honest.digest != digest
    assert "jq" in dict(honest.os_packages)
    if is_known:
        assert honest == before


@needs("containers")
def test_an_adopted_layer_is_known_once_it_was_made_here(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    made = layers_of(with_jq(cast, registry, "made"))[TITLE]
    packages = made.os_packages
    # As adoption of the image leaves it in a database that never knew the layer.
    CachedLayer.objects.filter(pk=made.pk).update(os_packages=[])
    again = layers_of(with_jq(cast, registry, "again"))[TITLE]
    assert (again.digest, again.os_packages) == (made.digest, packages)
    assert layers_of(with_jq(cast, registry, "third"))[TITLE].os_packages == packages
