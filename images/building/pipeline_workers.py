"""Workers of one run of the layer pipeline: threads, layer processes and the client of the index."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import httpx

from images.building.downloads import check_of, index_client
from images.building.layers.tar import Layer
from images.building.layers.worker import LayerJob, LayerMakers
from images.building.phases import PipelinePhase
from images.building.push.blobs import MOUNTS
from images.indexes import Indexes

FETCHES = 4


class PipelineWorkers:
    """A pool of threads for each phase; layer processes start when the first new layer is known.

    A context manager. Leaving it by an error kills the processes and sets `stop`, which ends transfers
    within a piece; their results are not awaited.
    """

    def __init__(self, processes: int, interpreter: str | None, niceness: int = 0) -> None:
        self.stop = threading.Event()
        self.check = check_of(self.stop)
        self._processes = processes
        self._interpreter = interpreter
        self._niceness = niceness
        self._makers: LayerMakers | None = None
        self._pools = {
            phase: ThreadPoolExecutor(threads, thread_name_prefix=phase.value)
            for phase, threads in (
                (PipelinePhase.FETCH, FETCHES),
                (PipelinePhase.LAYERS, processes),
                (PipelinePhase.PUSH, MOUNTS),
            )
        }
        # One for each layer that is being made.
        self._senders = ThreadPoolExecutor(processes, thread_name_prefix="send")

    @cached_property
    def index(self) -> httpx.Client:
        """The client of the index; a build of known layers makes none."""
        return index_client(Indexes.from_settings())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop.set()
        if self._makers is not None:
            self._makers.close()
        for pool in (*self._pools.values(), self._senders):
            pool.shutdown(wait=kind is None, cancel_futures=True)
        if "index" in vars(self):
            self.index.close()

    def submit(
        self, phase: PipelinePhase, function: Callable[..., Any], *arguments: Any
    ) -> Future[Any]:
        return self._pools[phase].submit(function, *arguments)

    def send_early(self, function: Callable[..., bool], *arguments: Any) -> Future[bool]:
        """Begin to send a layer that is being made."""
        return self._senders.submit(function, *arguments)

    def start_makers(self, layers: int) -> None:
        """Start as many layer processes as `layers` new layers can use, unless some run already."""
        if self._makers is None:
            number = min(self._processes, layers)
            self._makers = LayerMakers(
                number, self._interpreter, compilers=self._processes, niceness=self._niceness
            )

    def finish(self) -> None:
        """Have the layer processes end, so that their processor time counts as this process's children's."""
        if self._makers is not None:
            self._makers.finish()

    def make(self, job: LayerJob) -> Layer:
        """Make a layer in a process; waits until one is free."""
        assert self._makers is not None
        return self._makers.make(job)
