"""Layers that go up while they are made: what is compressed is sent, and the digest at the end.

Where that comes to nothing, the finished file is pushed as any other, which also tells what is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from images.building.downloads import Stopped
from images.building.layers.tar import Layer
from images.building.layers.worker import LayerJob
from images.errors import RegistryError
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import Descriptor
from images.registry.distribution.sources import GivenUp, GrowingFile
from images.registry.distribution.upload import CHUNK

if TYPE_CHECKING:
    from images.building.pipeline_workers import PipelineWorkers

# Of wheels: a layer of less is one part or two, which are sent in a moment.
LARGE = 2 * CHUNK
# Beside those that send what is finished.
STREAMS = 4
_streaming = threading.BoundedSemaphore(STREAMS)


def make_and_send(
    workers: PipelineWorkers, client: RegistryClient, repository: str, job: LayerJob
) -> tuple[Layer, Future[bool] | None]:
    """Have a layer made; whether it has gone up meanwhile is known later, None if that was not tried."""
    if sum(wheel.stat().st_size for wheel in job.wheels) < LARGE:
        return workers.make(job), None
    file = GrowingFile(job.destination)
    sending = workers.send_early(send, client, repository, file, workers.check)
    blob = None
    try:
        layer = workers.make(job)
        blob = Descriptor(layer.media_type, layer.digest, layer.size)
    finally:
        file.end(blob)
    return layer, sending


def send(
    client: RegistryClient, repository: str, file: GrowingFile, check: Callable[[], None]
) -> bool:
    """Send a file as it grows; whether the registry has all of it."""
    if not _streaming.acquire(blocking=False):
        return False
    try:
        client.upload_growing_blob(repository, file, check=check)
    except (RegistryError, OSError, GivenUp, Stopped):
        return False
    finally:
        _streaming.release()
    return True
