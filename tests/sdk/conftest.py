"""A served instance with a worker beside it, as somebody with the SDK finds one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import pytest
from django.db import connection
from django.utils import timezone

from images import reconcile
from images.models import BaseImage, Build, ManagedImage
from images.models.lease import WorkState
from tests.conftest import Cast, LocalAWS
from tests.test_main_job import build_now
from workspaces import tokens
from workspaces.access import Actor
from workspaces.models import User

T = TypeVar("T")


def in_a_thread(function: Callable[[], T]) -> T:
    """Call it where no event loop runs: in this thread, the browser tests may have left theirs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@dataclass(frozen=True)
class Instance:
    domain: str
    token_for: Callable[[User], str]


@pytest.fixture
def instance(web: str, cast: Cast) -> Instance:
    def token_for(user: User) -> str:
        return tokens.create_token(Actor(user), cast.workspace, "sdk").secret

    return Instance(web, token_for)


@pytest.fixture
def building(registry: LocalAWS, debian: BaseImage) -> Iterator[None]:
    """Builds what is queued, until the test ends."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            waiting = ManagedImage.objects.existing().filter(
                builds__in=Build.objects.filter(state=WorkState.QUEUED)
            )
            for image in waiting:
                build_now(registry, image)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    yield
    stop.set()
    worker.join()
    # The registry is the whole run's, and the next test may use the same names.
    ManagedImage.objects.update(removed_at=timezone.now(), deletion_due_at=timezone.now())
    with registry.identity("registry-server"):
        for image in ManagedImage.objects.all():
            reconcile.delete_repository(image.pk)
