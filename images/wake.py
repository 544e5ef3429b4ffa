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
    """The tasks of `images.tasks`, each with the queue whose workers do it."""

    queue: str

    PREPARE_REPOSITORY = "images.tasks.prepare_repository", "registry"
    DELETE_REPOSITORY = "images.tasks.delete_repository", "registry"
    TIDY_REPOSITORY = "images.tasks.tidy_repository", "registry"
    PREPARE_BASE_REPOSITORY = "images.tasks.prepare_base_repository", "registry"
    IMPORT_BASE_IMAGE = "images.tasks.import_base_image", "builds"
    RESOLVE_ALTERATION = "images.tasks.resolve_alteration", "builds"
    RESOLVE_SOURCE_ALTERATION = "images.tasks.resolve_source_alteration", "sources"
    RUN_BUILD = "images.tasks.run_build", "builds"
    RUN_SOURCE_BUILD = "images.tasks.run_source_build", "sources"
    DELIVER = "images.tasks.deliver", "webhooks"

    # Sent by the scheduler (settings, CELERY_BEAT_SCHEDULE).
    SWEEP = "images.tasks.sweep", "registry"
    TIDY_DUE = "images.tasks.tidy_due", "registry"
    WATCH_TAGS = "images.tasks.watch_tags", "builds"
    REPORT_HOST = "images.tasks.report_host", "builds"
    REPORT_SOURCE_HOST = "images.tasks.report_source_host", "sources"
    CHECK_REGISTRY_SERVER = "images.tasks.check_registry_server", "registry"
    CHECK_BUILD_JOBS = "images.tasks.check_build_jobs", "builds"

    # Sent by `manage.py doctor`.
    TRY_REGISTRY_SERVER = "images.tasks.try_registry_server", "registry"
    TRY_BUILD_JOBS = "images.tasks.try_build_jobs", "builds"
    TRY_SOURCES = "images.tasks.try_sources", "sources"
    TRY_WEBHOOKS = "images.tasks.try_webhooks", "webhooks"
    END_TRIAL = "images.tasks.end_trial", "registry"

    def __new__(cls, name: str, queue: str) -> Task:
        task = str.__new__(cls, name)
        task._value_, task.queue = name, queue
        return task

    @property
    def function(self) -> str:
        """The name without its module, as `TaskDue` and the metrics have it."""
        return self.rpartition(".")[2]


# The tasks that `TaskDue` lists, by its name for them. A base image is prepared first and imported then, as
# one row; a row for the sources queue is listed under the task of the builds queue.
DUE = {
    task.function: task
    for task in (
        Task.RUN_BUILD,
        Task.PREPARE_BASE_REPOSITORY,
        Task.RESOLVE_ALTERATION,
        Task.DELIVER,
        Task.PREPARE_REPOSITORY,
        Task.DELETE_REPOSITORY,
    )
}
QUEUES = {str(task): task.queue for task in Task}
# What wakes a worker for a build or for an alteration, by lane.
RUN = {Lane.BUILDS: Task.RUN_BUILD, Lane.SOURCES: Task.RUN_SOURCE_BUILD}
RESOLVE = {
    Lane.BUILDS: Task.RESOLVE_ALTERATION,
    Lane.SOURCES: Task.RESOLVE_SOURCE_ALTERATION,
}


def route(name: str, *_: object, **options: object) -> dict[str, str] | None:
    """Celery's router: the queue of a task of ours. Celery loads it with the first message."""
    queue = QUEUES.get(name)
    return {"queue": queue} if queue else None


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
