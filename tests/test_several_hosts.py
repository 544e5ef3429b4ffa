"""Builds workers on several hosts, with the broker on another: nothing is told them but addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from images.jobs import base_image, repositories
from images.models import BaseImage, Build, BuildHost, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import base_images
from tests import hosts
from tests.builds import ask
from tests.cast import Cast
from tests.hosts import Network
from tests.images.building.bases.layouts import ROOT, image_of
from tests.images.building.private_index import index_of
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS
from tests.needs import needs
from tests.rabbitmq import own_rabbitmq
from tests.workers import until, workers
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.django_db(transaction=True)]

BUILDS = 6


@pytest.fixture
def network() -> Iterator[Network]:
    with hosts.network() as made:
        yield made


@pytest.fixture
def registry(empty_registry: LocalAWS) -> LocalAWS:
    return empty_registry


@pytest.fixture
def small_base(cast: Cast, registry: LocalAWS, tmp_path: Path) -> BaseImage:
    """A base image of a few files, really in the registry."""
    layout = image_of(tmp_path / "layout", ROOT)
    base = base_images.import_base_image(
        Actor(cast.admin), image_type="all", python_version="3.11", platform_version="test",
        source=f"layout:{layout}",
    )  # fmt: skip
    with registry.identity("registry-server"):
        repositories.prepare_base_repository(base.pk)
    with registry.identity("build-jobs"):
        base_image.run(base.pk)
    base.refresh_from_db()
    assert base.state == WorkState.SUCCEEDED, base.error_message
    return base


@needs("several hosts")
def test_two_hosts_share_the_builds_that_a_broker_on_a_third_tells_of(
    cast: Cast, small_base: BaseImage, registry: LocalAWS, network: Network, tmp_path: Path
) -> None:
    names = ("broker", "platform", "builder-1", "builder-2")
    broker, platform, *builders = map(network.add, names)
    with (
        own_rabbitmq(broker.address, broker.inside) as amqp,
        index_of(make_wheel(tmp_path)) as index,
    ):
        aws = network.offer(port_of(registry.url))
        # It answers the one only when the other builds as well.
        packages = network.offer(port_of(index), together=2)
        addresses = {
            "RI_AWS_ENDPOINT_URL": f"http://{aws.address}",
            "RI_REGISTRY_URL": f"http://{aws.address}",
            "RI_PACKAGE_INDEX_URL": f"http://{packages.address}/simple",
        }
        # What is made ahead would ask the index, too.
        with workers(registry, tmp_path, amqp, RI_PREPARED_LAYERS="false", **addresses) as start:
            start("registry", platform.inside)
            start("scheduler", platform.inside)
            for host in builders:
                start("builds", host.inside)
            until(lambda: names_of_builders() == {host.name for host in builders}, 240)
            for number in range(BUILDS):
                ask(cast, f"shared-{number}", "sample==1.0")
            until(lambda: not Build.objects.active().exists(), 480)
    assert set(ManagedImage.objects.values_list("status", flat=True)) == {Status.READY}
    assert packages.callers == {host.address for host in builders}
    assert aws.callers >= packages.callers


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def names_of_builders() -> set[str]:
    """The hosts that have reported to the database."""
    return set(BuildHost.objects.values_list("name", flat=True))
