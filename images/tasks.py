"""Celery tasks: ids in, delegation, nothing else. Redelivery of any of them is harmless.

A task's queue (`images.wake.Task`) decides the AWS identity: `registry` workers create and
delete repositories, `builds` and `sources` workers pull and push.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from images.doctor import there
from images.jobs import (
    aws_contact,
    base_image,
    build_host,
    delivery,
    repositories,
    tag_watch,
    turns,
)
from images.jobs import sweep as sweep_jobs
from images.models import Alteration, Build
from images.models.lane import Lane


@shared_task
def prepare_repository(image_id: int) -> None:
    """Make sure that the image's repository exists, then wake its build."""
    repositories.prepare_repository(image_id)


@shared_task
def delete_repository(image_id: int) -> None:
    """Delete a removed image's repository with all in it, then the image's row."""
    repositories.delete_repository(image_id)


@shared_task
def tidy_repository(image_id: int) -> None:
    """Let superseded builds' images expire."""
    repositories.tidy_repository(image_id)


@shared_task
def tidy_due() -> None:
    """Look after repositories that nobody has looked at for long."""
    repositories.tidy_due()


@shared_task
def prepare_base_repository(base_image_id: int) -> None:
    """Make sure that a base image's repository exists, then wake its import."""
    repositories.prepare_base_repository(base_image_id)


@shared_task
def import_base_image(base_image_id: int) -> None:
    """Copy or make a base image, inspect it and push it."""
    base_image.run(base_image_id)


@shared_task
def resolve_alteration(alteration_id: int) -> None:
    """Find out what an alteration would change, or do what is due before it."""
    turns.take(Lane.BUILDS, Alteration, alteration_id)


@shared_task
def resolve_source_alteration(alteration_id: int) -> None:
    """The same where source distributions may be built. Runs on the sources queue."""
    turns.take(Lane.SOURCES, Alteration, alteration_id)


@shared_task
def run_build(build_id: int) -> None:
    """Claim a build and run it to its end: this one, or the one whose turn it is."""
    turns.take(Lane.BUILDS, Build, build_id)


@shared_task
def run_source_build(build_id: int) -> None:
    """The same where source distributions may be built. Runs on the sources queue."""
    turns.take(Lane.SOURCES, Build, build_id)


@shared_task
def deliver(delivery_id: int) -> None:
    """Send a message to its webhook. Runs on the webhooks queue, whose worker has no AWS identity."""
    delivery.deliver(delivery_id)


@shared_task
def watch_tags() -> None:
    """See whether base images' tags have moved on. Runs on the builds queue, which reaches registries."""
    tag_watch.look()


@shared_task
def report_host() -> None:
    """Tell what this machine can build. Runs on the builds queue."""
    build_host.report(Lane.BUILDS)


@shared_task
def report_source_host() -> None:
    """Tell whether this machine can build from source. Runs on the sources queue."""
    build_host.report(Lane.SOURCES)


@shared_task
def check_registry_server() -> None:
    """See whether the registry server's identity works. Runs on the registry queue."""
    aws_contact.check("registry")


@shared_task
def check_build_jobs() -> None:
    """See whether the build jobs' identity works. Runs on the builds queue."""
    aws_contact.check("builds")


@shared_task
def try_registry_server(trial: int) -> None:
    """For `manage.py doctor`: a token and a repository. Runs on the registry queue."""
    there.answer(trial, "registry", lambda: there.registry_server(trial))


@shared_task
def try_build_jobs(trial: int) -> None:
    """For `manage.py doctor`: a push, a pull, the index, the disk. Runs on the builds queue."""
    there.answer(trial, "builds", lambda: there.build_jobs(trial))


@shared_task
def try_sources(trial: int) -> None:
    """For `manage.py doctor`: the identity, and a command in a sandbox. Runs on the sources queue."""
    there.answer(trial, "sources", lambda: there.sources(trial))


@shared_task
def try_webhooks(trial: int) -> None:
    """For `manage.py doctor`: that there is no AWS identity. Runs on the webhooks queue."""
    there.answer(trial, "webhooks", lambda: there.webhooks(trial))


@shared_task
def end_trial(trial: int) -> None:
    """For `manage.py doctor`: delete the repository that was made. Runs on the registry queue."""
    there.answer(trial, "removal", lambda: there.clean_up(trial))


@worker_ready.connect
def report_at_start(sender: Any, **signal: Any) -> None:
    """A form must not refuse for a minute what a worker that has just started can do."""
    consumed = sender.app.amqp.queues.consume_from
    lanes = {Lane.BUILDS, Lane.SOURCES} & set(consumed)
    for lane in lanes:
        build_host.report(Lane(lane))
    if lanes:
        build_host.watch_disk()
    for identity in {"registry", "builds"} & set(consumed):
        aws_contact.check(identity)


@shared_task
def sweep() -> None:
    """Send again whatever is due."""
    sweep_jobs.sweep()
