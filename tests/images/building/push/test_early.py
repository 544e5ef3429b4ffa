"""Large layers go up while they are made, and as any other where that fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from images.building.layers.tar import Layer
from images.building.layers.worker import LayerJob
from images.building.pipeline_workers import PipelineWorkers
from images.building.push.blobs import BlobToPush, PushedBlob, push_blob
from images.building.push.early import make_and_send
from images.errors import RegistryUnavailable, WheelInvalid
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import Descriptor
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS

pytestmark = pytest.mark.slow
REPOSITORY = "rime-managed-images/early"
LARGE = {"sample/data.bin": os.urandom(25 << 20)}


def job_of(wheel: Path) -> LayerJob:
    return LayerJob(
        wheels=(wheel,),
        python_version=f"{sys.version_info[0]}.{sys.version_info[1]}",
        destination=wheel.with_name("layer"),
    )


def damage(wheel: Path) -> None:
    """Change a byte in the middle, which is found once half of the layer has been written."""
    with wheel.open("r+b") as file:
        file.seek(wheel.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0xFF]))


def make(client: RegistryClient, job: LayerJob) -> tuple[Layer, bool | None, PushedBlob | None]:
    with PipelineWorkers(1, None) as workers:
        workers.start_makers(1)
        layer, sent = make_and_send(workers, client, REPOSITORY, job)
        blob = BlobToPush(
            Descriptor(layer.media_type, layer.digest, layer.size), "sample", layer.path, sent=sent
        )
        pushed = push_blob(client, REPOSITORY, blob, job.destination.parent, workers.check)
        return layer, sent.result() if sent else None, pushed


def failing(times: int) -> Callable[[str, str], None]:
    """What has that many parts of uploads fail."""
    left = [times]

    def on_request(method: str, path: str) -> None:
        if method == "PATCH" and left[0]:
            left[0] -= 1
            raise RegistryUnavailable("It is away.")

    return on_request


@pytest.mark.parametrize(
    ("files", "failures", "early"),
    [(LARGE, 0, True), (LARGE, 1, False), (None, 0, None)],
    ids=["large", "large, and the registry fails once", "small"],
)
def test_a_layer_is_in_the_repository_whichever_way_it_went(
    files: dict[str, bytes] | None,
    failures: int,
    early: bool | None,
    aws: LocalAWS,
    tmp_path: Path,
) -> None:
    job = job_of(make_wheel(tmp_path, files=files))
    with aws.repositories(REPOSITORY), aws.client(on_request=failing(failures)) as client:
        layer, went_early, pushed = make(client, job)
        assert went_early is early
        assert pushed is not None
        assert pushed.uploaded == layer.size == layer.path.stat().st_size
        # Its content is held against its digest on the way.
        blob = Descriptor(layer.media_type, layer.digest, layer.size)
        client.download_blob(REPOSITORY, blob, tmp_path / "pulled", check=lambda: None)


def test_a_layer_that_cannot_be_made_leaves_nothing_on_its_way(
    aws: LocalAWS, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, files=LARGE)
    damage(wheel)
    job = job_of(wheel)
    asked: list[str] = []
    with (
        aws.repositories(REPOSITORY),
        aws.client(on_request=lambda method, path: asked.append(method)) as client,
        pytest.raises(WheelInvalid),
    ):
        make(client, job)
    assert "PUT" not in asked
    assert not job.destination.exists()
