"""Work that ends its workers fails after a few of them, whatever kind of work it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from images.jobs import (
    adoption,
    alteration,
    attest,
    base_image,
    build,
    delivery,
    import_check,
    library_index,
    prepared_layers,
    sweep,
    verification,
)
from images.models import (
    Attestation,
    BaseImage,
    Delivery,
    ImportCheck,
    LibraryIndex,
    ManagedImage,
    PreparedLayer,
    Status,
    Verification,
    Webhook,
    Wish,
)
from images.models.lease import Lease, WorkState
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from ri_platform.local import services
from tests import factories
from tests.cast import Cast

DEATHS = 3

# What a builds worker does, until what it does is its end.
DIES = """
import os, signal, sys
import django
django.setup()
from images.jobs import base_image, prepared_layers
die = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.BUILD_MAX_ATTEMPTS = DEATHS


def image_ready() -> ManagedImage:
    return factories.make_image("deadly", base=factories.make_base_image())


def unfinished_build() -> Lease:
    base = factories.make_base_image()
    image = factories.make_image("deadly", base=base, status=Status.BUILDING_FIRST_TIME)
    return image.builds.get()


def queued_base() -> Lease:
    return factories.make_base_image(
        state=WorkState.QUEUED, is_current=False, repository_ready_at=timezone.now()
    )


def queued_check() -> Lease:
    made = image_ready().builds.get()
    return ImportCheck.objects.create(build=made, manifest_digest=made.manifest_digest)


def queued_delivery() -> Lease:
    webhook = Webhook.objects.create(url="https://hook.example/", events=["image.ready"])
    return Delivery.objects.create(webhook=webhook, event="image.ready", payload={})


KINDS: dict[str, tuple[Callable[[], Lease], Callable[[int], object]]] = {
    "build": (unfinished_build, build.run),
    "base image": (queued_base, base_image.run),
    "alteration": (
        lambda: factories.make_alteration(image_ready(), state=WorkState.QUEUED),
        alteration.run_alteration,
    ),
    "import check": (queued_check, import_check.run),
    "look at the registry": (Verification.objects.create, verification.look_at_images),
    "library index": (
        lambda: LibraryIndex.objects.create(distribution="debian", version="bookworm"),
        library_index.run,
    ),
    "SBOM and provenance": (
        lambda: Attestation.objects.create(build=image_ready().builds.get()),
        attest.write,
    ),
    "delivery": (queued_delivery, delivery.deliver),
}


def lose_worker(work: Lease) -> None:
    """A worker claims it and is not heard of again."""
    model = type(work)
    assert model._default_manager.get_queryset().claim(work.pk, 60) is not None  # type: ignore[attr-defined]
    lapse(work)


def lapse(work: Lease) -> None:
    past = timezone.now() - timedelta(seconds=1)
    type(work)._default_manager.filter(pk=work.pk).update(lease_expires_at=past)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_work_that_ends_each_worker_fails_and_is_not_begun_again(kind: str) -> None:
    make, run = KINDS[kind]
    work = make()
    for _ in range(DEATHS):
        lose_worker(work)
    run(work.pk)
    work.refresh_from_db()
    assert (work.state, work.error_code) == (WorkState.FAILED, "worker_died")
    assert f"died {DEATHS} times" in work.error_message


@pytest.mark.django_db
def test_a_wish_whose_worker_dies_each_time_waits_for_another_decision() -> None:
    row = factories.make_unknown_repository("deadly", wish=Wish.ADOPT)
    for _ in range(DEATHS):
        lose_worker(row)
    adoption.adopt(row.pk)
    row.refresh_from_db()
    assert (row.wish, row.error_code) == (Wish.NONE, "worker_died")


@pytest.mark.django_db
def test_deaths_count_in_a_row_alone() -> None:
    """A long look at the registry outlives more workers than that, since most of them come far."""
    work = Verification.objects.create()
    for _ in range(2 * DEATHS):
        lose_worker(work)
        held = Verification.objects.claim(work.pk, 60)
        assert held is not None
        assert held.deaths == 1
        held.put_back(timezone.now())
    lose_worker(work)
    assert Verification.objects.get().deaths == 0


@pytest.mark.django_db
def test_an_index_that_ended_its_workers_is_read_again_after_a_week(sent: Any) -> None:
    factories.make_base_image(os_id="debian", os_version="bookworm")
    index = LibraryIndex.objects.create(
        distribution="debian", version="bookworm", state=WorkState.FAILED,
        error_code="worker_died", finished_at=timezone.now() - timedelta(hours=2),
    )  # fmt: skip
    assert not LibraryIndex.objects.outdated().exists()
    LibraryIndex.objects.update(finished_at=timezone.now() - timedelta(days=8))
    assert LibraryIndex.objects.outdated().get() == index


@pytest.mark.slow
def test_the_page_says_that_sbom_and_provenance_ended_their_workers(
    cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("deadly", base=base)
    Attestation.objects.create(
        build=image.builds.get(), state=WorkState.FAILED, error_code="worker_died",
        error_message="The attestation's worker died 3 times.",
    )  # fmt: skip
    url = reverse("image", kwargs={"workspace_id": cast.workspace.pk, "name": "deadly"})
    page = cast.client(cast.viewer).get(url).content.decode()
    assert "does not have them: The attestation&#x27;s worker died 3 times." in page


# --- processes that really die ----------------------------------------------------------------------------


def die_in(code: str, **variables: str) -> None:
    """Run code of a worker in a process of its own, which must be its end."""
    database = connection.settings_dict
    address = services.database_url(str(database["HOST"]), str(database["NAME"]))
    ended = subprocess.run(
        [sys.executable, "-c", DIES + code],
        env={
            **services.remove_aws_identity(dict(os.environ)),
            "DATABASE_URL": address,
            "DJANGO_SETTINGS_MODULE": "ri_platform.settings",
            **variables,
        },
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_base_image_that_kills_its_workers_fails_after_three(
    sent: list[tuple[Any, int]], tmp_path: Path
) -> None:
    base = queued_base()
    for number in range(DEATHS):
        die_in(
            f"base_image.make = die\nbase_image.run({base.pk})",
            RI_CACHE_DIR=str(tmp_path / "cache"),
        )
        base.refresh_from_db()
        assert (base.state, base.attempts, base.deaths) == (WorkState.RUNNING, number + 1, number)
        lapse(base)
    base_image.run(base.pk)
    base.refresh_from_db()
    assert (base.state, base.error_code) == (WorkState.FAILED, "worker_died")
    sent.clear()
    sweep.sweep()
    assert not [pk for task, pk in sent if pk == base.pk and "base" in task.function]


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_a_prepared_layer_that_kills_its_worker_is_not_tried_again(tmp_path: Path) -> None:
    base = factories.make_base_image()
    image = factories.make_image("asks", base=base)
    spec = ImageSpec("all", "3.11", tuple(parse_pip_requirements("pyjokes")))
    image.builds.update(spec=spec)
    cache.clear()
    begins = "prepared_layers.make_layer = die\nprepared_layers.prepare()"
    die_in(begins, RI_CACHE_DIR=str(tmp_path / "cache"))
    row = PreparedLayer.objects.get()
    assert row.error == "The worker ended while it made this layer."
    assert prepared_layers.prepare() == 0
    assert PreparedLayer.objects.get() == row
