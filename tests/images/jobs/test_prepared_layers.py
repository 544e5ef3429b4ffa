"""Prepared layers: made while nothing waits, within a budget, of wheels of an index alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from images.building import pipeline, pipeline_workers
from images.building.layers.paths import LayerPaths
from images.building.pipeline import PlannedLayer
from images.errors import WheelInvalid
from images.jobs import prepared_layers
from images.models import BaseImage, Build, CachedLayer, PreparedLayer, Status
from images.models.lease import WorkState
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from ri_platform.stopping import this_worker
from tests import factories
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.images.building.locked import a_wheel
from tests.local_aws import LocalAWS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def idle(settings: Any, tmp_path: Path) -> BaseImage:
    """A worker on an empty disk, a base image, and a build that asked for pyjokes lately."""
    cache.clear()
    settings.CACHE_DIR = tmp_path / "cache"
    base = factories.make_base_image()
    asked_for(base, "pyjokes==0.5.0")
    return base


def asked_for(base: BaseImage, requirements: str, **values: Any) -> Build:
    image = factories.make_image("asks", base=base)
    spec = ImageSpec("all", "3.11", tuple(parse_pip_requirements(requirements)))
    image.builds.update(spec=spec, **values)
    return image.builds.get()


@pytest.mark.slow
@pytest.mark.network
def test_an_idle_worker_makes_the_newest_release_of_what_was_asked_for(
    idle: BaseImage, settings: Any
) -> None:
    assert prepared_layers.prepare() == 1
    row = PreparedLayer.objects.get()
    assert row.title.startswith("pyjokes 0.")
    assert row.title != "pyjokes 0.5.0"
    assert (row.because, row.error) == ("asked", "")
    assert 0.05 < row.processor_seconds < 60
    layer = CachedLayer.objects.get(key=row.key)
    assert layer.digest == row.digest
    assert any("/pyjokes/" in path for path in LayerPaths.unpack(bytes(layer.paths)).files)
    assert [path for path in (settings.CACHE_DIR / "layers").rglob("*") if path.is_file()]
    # Within a day nothing is looked up again, and after it nothing is new.
    assert prepared_layers.prepare() == 0
    cache.clear()
    assert prepared_layers.prepare() == 0


@pytest.mark.slow
@pytest.mark.network
def test_a_build_brings_a_prepared_layer_to_the_registry_and_makes_none(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cache.clear()
    settings.CACHE_DIR = tmp_path / "cache"
    asked_for(debian, "pyjokes")
    assert prepared_layers.prepare() == 1

    def never(*arguments: object) -> None:
        raise AssertionError("a layer that is prepared was to be made again")

    monkeypatch.setattr(pipeline, "fetch", never)
    monkeypatch.setattr(pipeline_workers, "LayerMakers", never)
    image = build_now(registry, ask(cast, "takes-it", "pyjokes"))
    assert image.status == Status.READY
    build = image.builds.get()
    assert "uploaded pyjokes" in "".join(chunk.text for chunk in build.log_chunks.all())
    assert build.layers.filter(layer__key=PreparedLayer.objects.get().key).exists()


@pytest.mark.slow
@pytest.mark.network
def test_work_that_comes_stops_the_layer_under_way(
    idle: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = prepared_layers.make_layer

    def as_a_build_comes(*given: Any) -> Any:
        waiting(idle)
        return real(*given)

    monkeypatch.setattr(prepared_layers, "make_layer", as_a_build_comes)
    # The check is asked before half a second is over, which is less than the layer takes to begin.
    monkeypatch.setattr(prepared_layers, "POLL_SECONDS", 0.001)
    assert prepared_layers.prepare() == 0
    assert not PreparedLayer.objects.exists()


def waiting(base: BaseImage) -> None:
    factories.make_image("waits", base=base, status=Status.BUILDING_FIRST_TIME)


@pytest.mark.slow
def test_nothing_is_looked_up_while_a_build_waits(
    idle: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(idle)
    monkeypatch.setattr(prepared_layers, "resolve", refuse_to_look)
    assert prepared_layers.prepare() == 0


@pytest.mark.slow
def test_nothing_is_looked_up_by_a_worker_that_stops(
    idle: BaseImage, told_to_stop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_layers, "resolve", refuse_to_look)
    assert prepared_layers.prepare() == 0


@pytest.mark.slow
@pytest.mark.network
def test_a_worker_that_stops_ends_the_layer_under_way(
    idle: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = prepared_layers.make_layer
    monkeypatch.setattr(this_worker, "_told_at", None)

    def as_it_is_told(*given: Any) -> Any:
        this_worker.tell()
        return real(*given)

    monkeypatch.setattr(prepared_layers, "make_layer", as_it_is_told)
    # As above.
    monkeypatch.setattr(prepared_layers, "POLL_SECONDS", 0.001)
    assert prepared_layers.prepare() == 0
    assert not PreparedLayer.objects.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREPARED_LAYERS", False),
        ("IMAGE_REGISTRY_ENABLED", False),
        ("PREPARED_LAYERS_BYTES", 1000),
        ("PREPARED_LAYERS_SECONDS", 7),
    ],
)
@pytest.mark.slow
def test_nothing_is_made_where_it_is_off_or_the_budget_is_spent(
    idle: BaseImage, settings: Any, name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    PreparedLayer.objects.create(
        key="0" * 64, title="x 1", python_version="3.11", because="asked",
        digest=f"sha256:{'0' * 64}", size_bytes=1000, processor_seconds=7.0,
    )  # fmt: skip
    monkeypatch.setattr(prepared_layers, "resolve", refuse_to_look)
    with pytest.raises(AssertionError, match="looked up"):
        prepared_layers.prepare()
    setattr(settings, name, value)
    assert prepared_layers.prepare() == 0


def refuse_to_look(*arguments: object, **options: object) -> None:
    raise AssertionError("something was looked up")


def test_libraries_of_an_explicit_index_are_not_looked_up_elsewhere(idle: BaseImage) -> None:
    requirement = parse_pip_requirements("ours")[0]
    spec = ImageSpec("all", "3.11", (type(requirement)("ours", index="private"),))
    Build.objects.filter(state=WorkState.SUCCEEDED).update(spec=spec)
    assert list(prepared_layers.wishes()) == []


@pytest.mark.slow
@pytest.mark.network
def test_what_cannot_be_made_says_why_and_is_not_tried_again(
    idle: BaseImage, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    tried: list[PlannedLayer] = []

    def fails(item: PlannedLayer, *given: object) -> None:
        tried.append(item)
        raise WheelInvalid("It is not a wheel that can be installed.")

    monkeypatch.setattr(prepared_layers, "make_layer", fails)
    for _ in range(2):
        assert prepared_layers.prepare() == 0
        cache.clear()
    assert len(tried) == 1
    row = PreparedLayer.objects.get()
    assert (row.digest, row.error) == ("", "It is not a wheel that can be installed.")
    assert not CachedLayer.objects.exists()


def test_a_layer_that_an_adopted_image_alone_names_is_prepared(db: None) -> None:
    item = PlannedLayer("0" * 64, "six 1.17.0", (a_wheel("six", "1.17.0"),))
    digest = factories.digest("six")
    row = CachedLayer.objects.create(
        key=item.key, digest=digest, diff_id=digest, size_bytes=1, title=item.title
    )
    assert prepared_layers.missing([item]) == [item]
    CachedLayer.objects.filter(pk=row.pk).update(paths=b"x", native=b"x")
    assert prepared_layers.missing([item]) == []
