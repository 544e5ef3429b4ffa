"""The wheel layers of an image on their way into its repository: fetch, make and push overlap.

A layer that the instance remembers is mounted from a repository that holds it. Only what is new, or
was lost, is fetched and made; each layer is pushed as soon as it is finished. Threads do the waiting,
processes the work; the rows of the database are this thread's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from images.building.downloads import fetch
from images.building.layers.notes import Note, from_json
from images.building.layers.tar import Layer
from images.building.layers.worker import LayerJob
from images.building.locks.files import LockedWheel
from images.building.phases import PipelinePhase, Reporter
from images.building.pipeline_workers import PipelineWorkers
from images.building.push.blobs import BlobToPush, PushedBlob, missing_blob_error, push_blob
from images.building.push.early import make_and_send
from images.building.workshop import Workshop, name_of
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_LAYER_GZIP, Descriptor, hex_of
from ri_platform.metrics import LAYERS

POLL_SECONDS = 0.5


class KnownLayer(Protocol):
    """The record of a layer that was made before: its blob, its notes, and the OS packages of an image."""

    @property
    def digest(self) -> str: ...

    @property
    def diff_id(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def os_packages(self) -> Sequence[Sequence[str]]: ...

    @property
    def notes(self) -> Sequence[Sequence[object]]: ...


@dataclass(frozen=True)
class MadeLayer:
    """A layer of a finished image. `key` is what identifies it; sizes in bytes, compressed."""

    key: str
    digest: str
    diff_id: str
    size: int
    title: str
    os_packages: Sequence[tuple[str, str]] = ()
    paths: bytes = field(default=b"", repr=False)
    notes: tuple[Note, ...] = ()
    native: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class KeyedLayer:
    """A layer of the image with what identifies it for later builds."""

    key: str
    title: str
    layer: Layer
    os_packages: tuple[tuple[str, str], ...] = ()

    @property
    def made(self) -> MadeLayer:
        """The layer as it is recorded."""
        return MadeLayer(
            self.key,
            self.layer.digest,
            self.layer.diff_id,
            self.layer.size,
            self.title,
            self.os_packages,
            self.layer.paths,
            self.layer.notes,
            self.layer.native,
        )

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.layer.media_type, self.layer.digest, self.layer.size)

    @classmethod
    def from_registry(cls, key: str, title: str, known: KnownLayer) -> KeyedLayer:
        """A layer that is in the registry; there is no file of it here."""
        layer = remembered_layer(known, Path("nowhere"))
        return cls(key, title, layer, tuple((name, version) for name, version in known.os_packages))


@dataclass(frozen=True)
class PlannedLayer:
    """A layer that the image needs: what identifies it, and the wheels that it is made of."""

    key: str
    title: str
    wheels: tuple[LockedWheel, ...]


@dataclass
class LayerPipeline:
    """One run. `remembered` is by key, `holders` by digest; `others` are pushed beside the layers."""

    plan: Sequence[PlannedLayer]
    remembered: Mapping[str, KnownLayer]
    holders: Mapping[str, str]
    client: RegistryClient
    repository: str
    workshop: Workshop
    journal: Reporter
    check: Callable[[], None]
    others: Sequence[BlobToPush] = ()
    uploaded: int = 0
    _running: dict[Future[Any], tuple[PipelinePhase, Callable[[Any], None]]] = field(
        default_factory=dict
    )
    _layers: dict[str, Layer] = field(default_factory=dict)
    _missing: dict[str, set[str]] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)
    _begun: set[PipelinePhase] = field(default_factory=set)
    _ended: set[PipelinePhase] = field(default_factory=set)

    def run(self) -> list[KeyedLayer]:
        """The finished layers in the plan's order, each of them in the repository.

        `check` is asked twice a second. When it or anything else raises, processes are killed and
        transfers end within a piece. Leaves the push phase running, for config and manifest follow.
        """
        with PipelineWorkers(self.workshop.processes, self.workshop.interpreter) as self._workers:
            self._start()
            while self._running:
                self.check()
                done, _ = wait(self._running, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    _, then = self._running.pop(future)
                    then(future.result())
                self._end_phases()
        return [KeyedLayer(item.key, item.title, self._layers[item.key]) for item in self.plan]

    def _start(self) -> None:
        self._begin(PipelinePhase.FETCH)
        new = [item for item in self.plan if item.key not in self.remembered]
        LAYERS.labels("new").inc(len(new))
        LAYERS.labels("remembered").inc(len(self.plan) - len(new))
        if new:
            self._workers.start_makers(len(new))
        for item in new:
            self._fetch(item)
        for item in self.plan:
            if item.key in self.remembered:
                self._bring(item, self.remembered[item.key])
        for blob in self.others:
            # Beside the phase that is under way: these are small, or are mounted.
            self._send(blob, partial(self._after_other, blob))
        self._end_phases()

    # --- what is remembered ----------------------------------------------------------------------------

    def _bring(self, item: PlannedLayer, known: KnownLayer) -> None:
        layer = remembered_layer(known, self._path(known.digest))
        kept = self.workshop.layers.take(name_of(known.digest), layer.path)
        blob = BlobToPush(
            Descriptor(OCI_LAYER_GZIP, known.digest, known.size_bytes),
            item.title,
            source=layer.path if kept else None,
            from_repository=self.holders.get(known.digest, ""),
        )

        def after_push(pushed: PushedBlob | None) -> None:
            if pushed is None:
                self.journal.line(
                    f"{item.title} is no longer in the registry, so it is made again."
                )
                self._workers.start_makers(1)
                self._fetch(item)
            else:
                self._after_push(item, layer, pushed)

        self._push(blob, after_push)

    # --- what is new -----------------------------------------------------------------------------------

    def _fetch(self, item: PlannedLayer) -> None:
        self._missing[item.key] = {wheel.sha256 for wheel in item.wheels}
        for wheel in item.wheels:
            self._submit(
                PipelinePhase.FETCH,
                partial(self._after_fetch, item, wheel),
                fetch,
                self._workers.index,
                wheel,
                self.workshop.wheels,
                self.workshop.work,
                self._workers.check,
            )

    def _after_fetch(self, item: PlannedLayer, wheel: LockedWheel, path: Path) -> None:
        self.journal.line(f"{wheel.filename} ({path.stat().st_size:,} bytes)")
        self._files[wheel.sha256] = path
        self._missing[item.key].discard(wheel.sha256)
        if self._missing[item.key]:
            return
        files = [self._files[wheel.sha256] for wheel in item.wheels]
        job = self.workshop.job(item.key, item.wheels, files)
        self._begin(PipelinePhase.LAYERS)
        self._submit(
            PipelinePhase.LAYERS,
            partial(self._after_layer, item, job),
            make_and_send,
            self._workers,
            self.client,
            self.repository,
            job,
        )

    def _after_layer(
        self, item: PlannedLayer, job: LayerJob, made: tuple[Layer, Future[bool] | None]
    ) -> None:
        layer, sent = made
        self.journal.line(f"{item.title} → a layer of {layer.size:,} bytes")
        for wheel in item.wheels:
            self._files.pop(wheel.sha256).unlink(missing_ok=True)
        self.workshop.keep(job, item.wheels, layer)
        blob = BlobToPush(
            Descriptor(layer.media_type, layer.digest, layer.size),
            item.title,
            layer.path,
            sent=sent,
        )
        self._push(blob, partial(self._after_push, item, layer))

    def _push(self, blob: BlobToPush, then: Callable[[Any], None]) -> None:
        self._begin(PipelinePhase.PUSH)
        self._send(blob, then)

    def _send(self, blob: BlobToPush, then: Callable[[Any], None]) -> None:
        self._submit(
            PipelinePhase.PUSH,
            then,
            push_blob,
            self.client,
            self.repository,
            blob,
            self.workshop.work,
            self._workers.check,
        )

    def _after_push(self, item: PlannedLayer, layer: Layer, pushed: PushedBlob) -> None:
        self.journal.line(pushed.line)
        self.uploaded += pushed.uploaded
        self._layers[item.key] = layer
        layer.path.unlink(missing_ok=True)

    def _after_other(self, blob: BlobToPush, pushed: PushedBlob | None) -> None:
        if pushed is None:
            raise missing_blob_error(blob)
        self.journal.line(pushed.line)
        self.uploaded += pushed.uploaded

    # --- threads, processes, phases ----------------------------------------------------------------------

    def _submit(
        self,
        phase: PipelinePhase,
        then: Callable[[Any], None],
        function: Callable[..., Any],
        *arguments: Any,
    ) -> None:
        self._running[self._workers.submit(phase, function, *arguments)] = phase, then

    def _path(self, digest: str) -> Path:
        return self.workshop.work / f"kept-{hex_of(digest)}.tar.gz"

    def _begin(self, phase: PipelinePhase) -> None:
        if phase not in self._begun:
            self._begun.add(phase)
            self.journal.begin(phase)

    def _end_phases(self) -> None:
        """End fetching once nothing can ask for a wheel any more, and making once no layer can come."""
        under_way = {phase for phase, _ in self._running.values()}
        settled = len(self._layers) == len(self.plan)
        # A remembered layer that turns out lost is fetched again, as long as any is being brought.
        unsure = PipelinePhase.PUSH in under_way and any(
            item.key in self.remembered and item.key not in self._layers for item in self.plan
        )
        if not (PipelinePhase.FETCH in under_way or unsure):
            self._end(PipelinePhase.FETCH)
            if PipelinePhase.LAYERS not in under_way or settled:
                self._begin(PipelinePhase.LAYERS)
                self._end(PipelinePhase.LAYERS)
                self._begin(PipelinePhase.PUSH)

    def _end(self, phase: PipelinePhase) -> None:
        if phase not in self._ended:
            self._ended.add(phase)
            self.journal.end(phase)


def remembered_layer(known: KnownLayer, path: Path) -> Layer:
    notes = from_json(known.notes)
    return Layer(known.digest, known.diff_id, known.size_bytes, path, notes=notes)
