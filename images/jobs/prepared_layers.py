"""Prepared layers: while builds workers are idle, one of them makes what images will probably ask for.

That is the newest release of what recent builds asked for, and of what base images of the catalogue have,
each with what it needs. Work that somebody waits for stops it within a second. Only wheels that an index
gives with their hash are prepared, so a build that comes to use such a layer gets the bytes that it would
make (docs/decisions/0026-prepared-layers.md).
"""

from __future__ import annotations

import hashlib
import logging
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from packaging.utils import canonicalize_name

from images.building.cache import caches, work_folder
from images.building.downloads import Stopped, fetch
from images.building.layers.tar import Layer
from images.building.layers.wheel import BASE_PREFIX, MANAGED_PREFIX
from images.building.locks.indexes import refuse_forbidden
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.building.phases import PipelinePhase
from images.building.pipeline import MadeLayer, PlannedLayer
from images.building.pipeline_workers import PipelineWorkers
from images.catalogue import catalogue
from images.indexes import Indexes
from images.jobs import known_layers, turns
from images.jobs.layer_plan import planned_layers, workshop
from images.models import BaseImage, Build, ImageType, PreparedLayer
from images.models.lane import Lane
from images.models.lease import WorkState
from images.models.prepared_layer import PreparedBecause
from images.queries import fair_queue
from images.requirements import PipRequirement
from ri_platform.errors import DomainError
from ri_platform.locks import exclusive_if_free
from ri_platform.metrics import PREPARED_LAYERS
from ri_platform.stopping import this_worker

logger = logging.getLogger(__name__)

# The builds whose requirements tell what is asked for, and of each Python the names asked for most.
RECENT_BUILDS, NAMES = 500, 100
# A wish is looked at again after a day; new releases do not come more often than that matters.
AGAIN_AFTER = 86_400
# One turn of a worker; the scheduler gives it the next.
TURN_SECONDS = 300
POLL_SECONDS = 0.5
LOWEST_PRIORITY = 19


class Yield(Exception):
    """Somebody's work waits, the worker was told to stop, or the turn is over."""


@dataclass(frozen=True)
class Wish:
    """Libraries that are resolved together for a base, and the environment that they would be in."""

    base: BaseImage
    requirements: tuple[PipRequirement, ...]
    because: PreparedBecause
    prefix: str = MANAGED_PREFIX

    @property
    def name(self) -> str:
        base = self.base
        wanted = [base.python_version, base.platform, self.prefix, *map(str, self.requirements)]
        return f"prepared-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()}"


def prepare() -> int:
    """Make layers until nothing is left, the budget is spent or work comes; returns how many were made."""
    if not (settings.IMAGE_REGISTRY_ENABLED and settings.PREPARED_LAYERS):
        return 0
    made = 0
    # One worker at a time; the others are there for what comes.
    with exclusive_if_free("prepared layers", 0) as held:
        check = checking(time.monotonic() + TURN_SECONDS)
        try:
            for wish in wishes() if held else ():
                made += fulfil(wish, check)
        except (Yield, Stopped):
            pass
    return made


def checking(until: float) -> Callable[[], None]:
    """A check that raises `Yield` once a worker of the lane has work or is to stop, or time is up."""

    def check() -> None:
        if this_worker.is_told:
            raise Yield
        waiting = fair_queue.next_in(Lane.BUILDS, turns.startable(Lane.BUILDS))
        if time.monotonic() > until or any(True for _ in waiting) or budget_is_spent():
            raise Yield

    return check


def budget_is_spent() -> bool:
    size, seconds = PreparedLayer.objects.spent()
    return size >= settings.PREPARED_LAYERS_BYTES or seconds >= settings.PREPARED_LAYERS_SECONDS


def wishes() -> Iterator[Wish]:
    """What is expected to be asked for: the catalogue's own first, then what was asked for most."""
    roots = BaseImage.objects.current().filter(image_type=ImageType.ALL)
    current = set(BaseImage.objects.current().values_list("image_type", "python_version"))
    for root in roots:
        for name, use_case in catalogue().use_cases.items():
            if use_case.requirements and (name, root.python_version) in current:
                yield Wish(root, use_case.requirements, PreparedBecause.CATALOGUE, BASE_PREFIX)
    asked = names_asked_for()
    for root in roots:
        for name, _ in asked[root.python_version].most_common(NAMES):
            yield Wish(root, (PipRequirement(name),), PreparedBecause.ASKED)


def names_asked_for() -> dict[str, Counter[str]]:
    """By Python version the libraries that recent builds name, where any index may give them.

    A library of an explicit index is left to who may ask that index.
    """
    found: dict[str, Counter[str]] = defaultdict(Counter)
    recent = Build.objects.filter(state=WorkState.SUCCEEDED).order_by("-pk")[:RECENT_BUILDS]
    for build in recent.only("spec"):
        names = {
            canonicalize_name(item.name) for item in build.spec.pip_requirements if not item.index
        }
        found[build.spec.python_version].update(names)
    return found


def fulfil(wish: Wish, check: Callable[[], None]) -> int:
    """Resolve a wish and make the layers that are not known; returns how many."""
    check()
    if cache.get(wish.name):
        return 0
    target = Target(wish.base.python_version, wish.base.platform)
    try:
        lock = resolve(
            wish.requirements,
            target,
            preinstalled=dict(wish.base.libraries),
            log=logger.debug,
            check=check,
            indexes=Indexes.from_settings(),
        )
        refuse_forbidden(lock)
    except DomainError as error:
        logger.info("What images may ask for is not to be had: %s", error)
        cache.set(wish.name, True, AGAIN_AFTER)
        return 0
    made = 0
    plan = planned_layers(lock, wish.base, target, prefix=wish.prefix)
    for item in missing(plan):
        check()
        made += make(item, wish, target, check)
    cache.set(wish.name, True, AGAIN_AFTER)
    return made


def missing(plan: list[PlannedLayer]) -> list[PlannedLayer]:
    """The layers of one wheel each that were neither made nor tried before."""
    keys = [item.key for item in plan]
    known = set(known_layers.made_here().filter(key__in=keys).values_list("key", flat=True))
    tried = set(PreparedLayer.objects.filter(key__in=keys).values_list("key", flat=True))
    return [item for item in plan if len(item.wheels) == 1 and item.key not in known | tried]


def make(item: PlannedLayer, wish: Wish, target: Target, check: Callable[[], None]) -> bool:
    """Make one layer and record what came of it. Raises `Yield` and what `check` raises.

    The attempt is recorded before it begins, so that a layer which ends its worker is not tried again.
    """
    row = PreparedLayer.objects.create(
        key=item.key,
        title=item.title[:255],
        python_version=target.python_version,
        because=wish.because,
        error="The worker ended while it made this layer.",
    )
    before, made = processor(), None
    try:
        layer = make_layer(item, wish, target, check)
    except DomainError as error:
        row.error = str(error)
    except BaseException:
        row.delete()
        raise
    else:
        row.digest, row.size_bytes, row.error = layer.digest, layer.size, ""
        made = MadeLayer(
            item.key, layer.digest, layer.diff_id, layer.size, item.title,
            paths=layer.paths, notes=layer.notes, native=layer.native,
        )  # fmt: skip
    row.processor_seconds = processor() - before
    with transaction.atomic():
        known_layers.remember([made] if made else [])
        row.save()
    PREPARED_LAYERS.labels("made" if made else "failed").inc()
    logger.info("Prepared %s: %s", item.title, row.error or f"{row.size_bytes:,} bytes")
    return made is not None


def make_layer(item: PlannedLayer, wish: Wish, target: Target, check: Callable[[], None]) -> Layer:
    """The layer, kept in this machine's caches; at the lowest priority, on one core."""
    (wheel,) = item.wheels
    with work_folder(settings.CACHE_DIR, "prepared") as work:
        place = workshop(work, target, prefix=wish.prefix)
        with PipelineWorkers(1, place.interpreter, LOWEST_PRIORITY) as workers:
            workers.start_makers(1)

            def result_of(phase: PipelinePhase, function: Callable[..., Any], *given: Any) -> Any:
                future = workers.submit(phase, function, *given)
                while True:
                    try:
                        return future.result(POLL_SECONDS)
                    except NotYet:
                        if future.done():
                            raise
                        check()

            file = result_of(
                PipelinePhase.FETCH, fetch, workers.index, wheel, place.wheels, work, workers.check
            )
            job = place.job(item.key, item.wheels, [file])
            layer: Layer = result_of(PipelinePhase.LAYERS, workers.make, job)
            place.keep(job, item.wheels, layer)
            workers.finish()
    for kept in caches():
        kept.trim()
    return layer


def processor() -> float:
    """Seconds of processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
