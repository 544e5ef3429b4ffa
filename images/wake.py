"""Waking workers: the one place that sends messages. A message carries an id and nothing else.

Tasks are named, not imported, so that whoever asks for work need not load what does it: the web
process never imports the build engine or the registry adapters. A lost message loses no work, since
`images.jobs.sweep.sweep` sends again whatever is due.
"""

from __future__ import annotations

from enum import StrEnum

from celery import current_app
from django.db import transaction

from images.models.lane import Lane


class Task(StrEnum):
    """The tasks of `images.tasks`, which the queues of `CELERY_TASK_ROUTES` carry to a worker."""

    PREPARE_REPOSITORY = "images.tasks.prepare_repository"
    DELETE_REPOSITORY = "images.tasks.delete_repository"
    TIDY_REPOSITORY = "images.tasks.tidy_repository"
    PREPARE_BASE_REPOSITORY = "images.tasks.prepare_base_repository"
    IMPORT_BASE_IMAGE = "images.tasks.import_base_image"
    RESOLVE_ALTERATION = "images.tasks.resolve_alteration"
    RESOLVE_SOURCE_ALTERATION = "images.tasks.resolve_source_alteration"
    RUN_BUILD = "images.tasks.run_build"
    RUN_SOURCE_BUILD = "images.tasks.run_source_build"
    DELIVER = "images.tasks.deliver"
    TRY_REGISTRY_SERVER = "images.tasks.try_registry_server"
    TRY_BUILD_JOBS = "images.tasks.try_build_jobs"
    TRY_SOURCES = "images.tasks.try_sources"
    TRY_WEBHOOKS = "images.tasks.try_webhooks"
    END_TRIAL = "images.tasks.end_trial"


# What wakes a worker for a build or for an alteration, by lane.
RUN = {Lane.BUILDS: Task.RUN_BUILD, Lane.SOURCES: Task.RUN_SOURCE_BUILD}
RESOLVE = {
    Lane.BUILDS: Task.RESOLVE_ALTERATION,
    Lane.SOURCES: Task.RESOLVE_SOURCE_ALTERATION,
}


def send(task: Task, pk: int) -> None:
    """Wake a worker now. Raises the broker's error if it cannot be reached.

    Declares nothing: that is the workers' job, and with pgmq it is DDL, which would make the first
    request of every web process wait seconds for the workers that are reading the queue.
    """
    current_app.send_task(task, [pk], declare=())


def after_commit(task: Task, pk: int) -> None:
    """Wake a worker once the transaction has committed.

    `robust`: a broker that is down must not turn an accepted request into an error page; the row is
    committed and the sweeper will find it.
    """
    transaction.on_commit(lambda: send(task, pk), robust=True)
