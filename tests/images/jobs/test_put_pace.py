"""Manifests of what the platform does by itself keep to one pace over all workers; people's builds do not
wait.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection

from images.errors import BuildError
from images.jobs import put_pace


def seconds_for(number: int, *, waits: bool = True) -> float:
    begun = time.monotonic()
    for _ in range(number):
        put_pace.take(lambda: None, waits=waits)
    return time.monotonic() - begun


@pytest.mark.django_db(transaction=True)
def test_several_workers_share_one_pace(settings: Any) -> None:
    settings.UPGRADES_PER_SECOND = 20
    put_pace.take(lambda: None, waits=True)

    def work() -> None:
        try:
            seconds_for(10)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    begun = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # Thirty at twenty a second, of which the first few may go at once.
    assert time.monotonic() - begun >= (30 - put_pace.BURST - 1) / 20


@pytest.mark.django_db
def test_peoples_builds_are_counted_and_do_not_wait(settings: Any) -> None:
    settings.UPGRADES_PER_SECOND = 10
    assert seconds_for(8, waits=False) < 0.4
    assert seconds_for(1) > 0.2


@pytest.mark.django_db
def test_who_must_stop_does_not_wait_to_the_end(settings: Any) -> None:
    settings.UPGRADES_PER_SECOND = 1
    seconds_for(20, waits=False)

    def check() -> None:
        raise BuildError("Stop.")

    with pytest.raises(BuildError):
        put_pace.take(check, waits=True)


@pytest.mark.django_db
def test_a_pause_is_no_credit_for_a_flood(settings: Any) -> None:
    settings.UPGRADES_PER_SECOND = 10
    seconds_for(1)
    time.sleep(1)
    assert seconds_for(6) >= 0.2
