"""Waking workers: the one place that sends messages. A message carries an id and nothing else.

Tasks are named, not imported, so that whoever asks for work need not load what does it: the web
process never imports the build engine or the registry adapters. A lost message loses no work, since
`images.jobs.sweep.sweep` sends again whatever is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from celery import current_app
from django.db import transaction

from images.models import Alteration, Build, TaskDue
from images.models.lane import Lane

# So many messages suffice for work that takes turns: a worker that has done some wakes the next.
ENOUGH = 20


class Task(StrEnum):
    """The tasks of `images.tasks` that workers do, each with its queue.

    What the scheduler does itself has no message, and is not here (`ri_platform.beat`).
    """

    queue: str

    PREPARE_REPOSITORY = "images.tasks.prepare_repository", "registry"
    DELETE_REPOSITORY = "images.tasks.delete_repository", "registry"
    TIDY_REPOSITORY = "images.tasks.tidy_repository", "registry"
    KEEP_UP_REPOSITORY = "images.tasks.keep_up_repository", "registry"
    PREPARE_BASE_REPOSITORY = "images.tasks.prepare_base_repository", "registry"
    IMPORT_BASE_IMAGE = "images.tasks.import_base_image", "builds"
    INSPECT_BASE_IMAGE = "images.tasks.inspect_base_image", "builds"
    RESOLVE_ALTERATION = "images.tasks.resolve_alteration", "builds"
    RESOLVE_SOURCE_ALTERATION = "images.tasks.resolve_source_alteration", "sources"
    RUN_BUILD = "images.tasks.run_build", "builds"
    RUN_SOURCE_BUILD = "images.tasks.run_source_build", "sources"
    MOVE_TAGS = "images.tasks.move_tags", "builds"
    WRITE_ATTESTATION = "images.tasks.write_attestation", "builds"
    READ_LIBRARY_INDEX = "images.tasks.read_library_index", "builds"
    CHECK_IMPORTS = "images.tasks.check_imports", "sources"
    DELIVER = "images.tasks.deliver", "webhooks"
    VERIFY_IMAGES = "images.tasks.verify_images", "builds"
    VERIFY_NAMES = "images.tasks.verify_names", "registry"
    RESTORE_REPOSITORY = "images.tasks.restore_repository", "registry"
    PUSH_AGAIN = "images.tasks.push_again", "builds"
    PUSH_SOURCE_IMAGE_AGAIN = "images.tasks.push_source_image_again", "sources"
    ADOPT_REPOSITORY = "images.tasks.adopt_repository", "builds"
    DELETE_UNKNOWN_REPOSITORY = "images.tasks.delete_unknown_repository", "registry"

    # Sent by the scheduler (settings, CELERY_BEAT_SCHEDULE).
    WATCH_TAGS = "images.tasks.watch_tags", "builds"
    PREPARE_LAYERS = "images.tasks.prepare_layers", "builds"
    REPORT_HOST = "images.tasks.report_host", "builds"
    REPORT_SOURCE_HOST = "images.tasks.report_source_host", "sources"
    CHECK_REGISTRY_SERVER = "images.tasks.check_registry_server", "registry"
    CHECK_BUILD_JOBS = "images.tasks.check_build_jobs", "builds"

    # Sent by each other, until the repositories are marked.
    WRITE_MARK = "images.tasks.write_mark", "builds"
    SEE_MARK = "images.tasks.see_mark", "registry"

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
# one row; a row for the sources queue is listed under the task of the builds queue (`task_due`).
DUE = {
    task.function: task
    for task in (
        Task.RUN_BUILD,
        Task.PREPARE_BASE_REPOSITORY,
        Task.RESOLVE_ALTERATION,
        Task.CHECK_IMPORTS,
        Task.WRITE_ATTESTATION,
        Task.DELIVER,
        Task.PREPARE_REPOSITORY,
        Task.DELETE_REPOSITORY,
        Task.MOVE_TAGS,
        Task.RESTORE_REPOSITORY,
        Task.PUSH_AGAIN,
        Task.ADOPT_REPOSITORY,
        Task.DELETE_UNKNOWN_REPOSITORY,
    )
}
QUEUES = {str(task): task.queue for task in Task}
# What wakes a worker for a build or for an alteration, by lane.
RUN = {Lane.BUILDS: Task.RUN_BUILD, Lane.SOURCES: Task.RUN_SOURCE_BUILD}
RESOLVE = {
    Lane.BUILDS: Task.RESOLVE_ALTERATION,
    Lane.SOURCES: Task.RESOLVE_SOURCE_ALTERATION,
}

# What pushes an image again that the registry lost, by the lane of its build.
PUSH_AGAIN = {Lane.BUILDS: Task.PUSH_AGAIN, Lane.SOURCES: Task.PUSH_SOURCE_IMAGE_AGAIN}


def task_due(due: TaskDue) -> Task:
    """What wakes a worker for a piece of work that is due: one of its queue."""
    task = DUE[due.task]
    for lanes in (RUN, RESOLVE, PUSH_AGAIN):
        if task in lanes.values():
            return lanes[Lane(due.queue)]
    return task


def task_of(work: Build | Alteration) -> Task:
    """What wakes a worker for a build or an alteration: one of the lane that its spec stands in."""
    return (RUN if isinstance(work, Build) else RESOLVE)[Lane.of(work.spec)]


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
    all_after_commit([(task, pk)])


def all_after_commit(work: Sequence[tuple[Task, int]]) -> None:
    """Wake several workers as `after_commit`; once the broker refuses one message, no other is tried."""

    def send_all() -> None:
        for task, pk in work:
            send(task, pk)

    transaction.on_commit(send_all, robust=True)
