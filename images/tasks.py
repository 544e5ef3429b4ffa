"""Celery tasks: ids in, delegation, nothing else. Redelivery of any of them is harmless.

A task's queue (`images.wake.Task`) decides the AWS identity: `registry` workers create and
delete repositories, `builds` and `sources` workers pull and push.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from images.doctor import there
from images.jobs import (
    adoption,
    aws_contact,
    base_inspection,
    build_host,
    delivery,
    instance_mark,
    library_index,
    moving_tags,
    prepared_layers,
    repair,
    repositories,
    repository_turns,
    tag_watch,
    turns,
    upkeep,
    verification,
)
from images.jobs import sweep as sweep_jobs
from images.models import Alteration, BaseImage, Build, Instance
from images.models.lane import Lane

log = logging.getLogger(__name__)


def on_own_registry(task: Callable[[int], None]) -> Callable[[int], None]:
    """A task that acts on the registry, and does nothing until it carries this instance's mark.

    What it was to do stays due: the sweeper sends it again.
    """

    @wraps(task)
    def carry_out(pk: int) -> None:
        instance = Instance.objects.this()
        if instance.may_act:
            task(pk)
        else:
            log.info("%s %s waits: the mark is %s.", task.__name__, pk, instance.state)

    return carry_out


@shared_task
@on_own_registry
def prepare_repository(image_id: int) -> None:
    """Make sure that a repository exists, this image's or that whose turn it is, then wake its build."""
    repository_turns.take(image_id)


@shared_task
@on_own_registry
def delete_repository(image_id: int) -> None:
    """Delete a removed image's repository with all in it, then the image's row."""
    repository_turns.prepare_next()
    repositories.delete_repository(image_id)


@shared_task
@on_own_registry
def tidy_repository(image_id: int) -> None:
    """Let superseded builds' images expire, then wake the worker for the next repository that is due."""
    repository_turns.prepare_next()
    if repositories.tidy_repository(image_id):
        repositories.tidy_due()


@shared_task
@on_own_registry
def keep_up_repository(refused_id: int) -> None:
    """Try again what AWS refused of a repository of the platform's own. Runs on the registry queue."""
    repository_turns.prepare_next()
    upkeep.keep_up(refused_id)


@shared_task
def tidy_due() -> None:
    """Look after repositories that nobody has looked at for long. Done by the scheduler itself."""
    repositories.tidy_due()


@shared_task
@on_own_registry
def prepare_base_repository(base_image_id: int) -> None:
    """Make sure that a base image's repository exists, then wake its import."""
    repositories.prepare_base_repository(base_image_id)


@shared_task
@on_own_registry
def import_base_image(base_image_id: int) -> None:
    """Copy or make a base image, inspect it and push it, or do what is due before it."""
    turns.take(Lane.BUILDS, BaseImage, base_image_id)


@shared_task
@on_own_registry
def resolve_alteration(alteration_id: int) -> None:
    """Find out what an alteration would change, or do what is due before it."""
    turns.take(Lane.BUILDS, Alteration, alteration_id)


@shared_task
@on_own_registry
def resolve_source_alteration(alteration_id: int) -> None:
    """The same where source distributions may be built. Runs on the sources queue."""
    turns.take(Lane.SOURCES, Alteration, alteration_id)


@shared_task
@on_own_registry
def run_build(build_id: int) -> None:
    """Claim a build and run it to its end: this one, or the one whose turn it is."""
    turns.take(Lane.BUILDS, Build, build_id)


@shared_task
@on_own_registry
def run_source_build(build_id: int) -> None:
    """The same where source distributions may be built. Runs on the sources queue."""
    turns.take(Lane.SOURCES, Build, build_id)


@shared_task(acks_late=False)
@on_own_registry
def inspect_base_image(base_image_id: int) -> None:
    """Look once more into a base image of an earlier version. Runs on the builds queue.

    Should it end its worker, its message must not come to the next one; the sweeper sends another in an hour.
    """
    base_inspection.inspect_again(base_image_id)


@shared_task
@on_own_registry
def move_tags(image_id: int) -> None:
    """Move `latest` and the channels of an image. Runs on the builds queue, whose workers push."""
    moving_tags.move_tags(image_id)


@shared_task
@on_own_registry
def write_attestation(attestation_id: int) -> None:
    """Write SBOM and provenance of a build that is ready. Runs on the builds queue, whose workers push."""
    turns.take_attestation(attestation_id)


@shared_task
def read_library_index(index_id: int) -> None:
    """Read which packages of a distribution bring native libraries. Runs on the builds queue."""
    library_index.run(index_id)


@shared_task
@on_own_registry
def check_imports(check_id: int) -> None:
    """Import the libraries of this image, or of the one whose turn it is. Runs on the sources queue."""
    turns.take_check()


@shared_task
def verify_due() -> None:
    """Begin the platform's own look at the registry, if it is time. Done by the scheduler itself."""
    verification.begin_due()


@shared_task
@on_own_registry
def verify_images(verification_id: int) -> None:
    """Look at what the registry holds of some images. Runs on the builds queue."""
    verification.look_at_images(verification_id)


@shared_task
@on_own_registry
def verify_names(verification_id: int) -> None:
    """Look for repositories that no record knows. Runs on the registry queue."""
    verification.look_at_names(verification_id)


@shared_task
@on_own_registry
def restore_repository(drift_id: int) -> None:
    """Make a repository again that is gone, for what was in it. Runs on the registry queue."""
    repository_turns.prepare_next()
    repair.restore_repository(drift_id)


@shared_task
@on_own_registry
def push_again(drift_id: int) -> None:
    """Push again what the registry lost of an image. Runs on the builds queue."""
    turns.take_repair(Lane.BUILDS, drift_id)


@shared_task
@on_own_registry
def push_source_image_again(drift_id: int) -> None:
    """The same where libraries may be built from source. Runs on the sources queue."""
    turns.take_repair(Lane.SOURCES, drift_id)


@shared_task
@on_own_registry
def adopt_repository(repository_id: int) -> None:
    """Adopt an image that no record knows. Runs on the builds queue, whose workers pull."""
    adoption.adopt(repository_id)


@shared_task
@on_own_registry
def delete_unknown_repository(repository_id: int) -> None:
    """Delete a repository that no record knows. Runs on the registry queue."""
    adoption.delete(repository_id)


@shared_task
def deliver(delivery_id: int) -> None:
    """Send a message to its webhook. Runs on the webhooks queue, whose worker has no AWS identity."""
    delivery.deliver(delivery_id)


@shared_task
def watch_tags() -> None:
    """See whether base images' tags have moved on. Runs on the builds queue, which reaches registries."""
    tag_watch.look()


@shared_task(acks_late=False)
def prepare_layers() -> None:
    """Make layers that images will probably ask for. Runs on the builds queue, while nothing waits there.

    Should it end its worker, its message must not come to the next one.
    """
    prepared_layers.prepare()


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
def write_mark(instance_pk: int) -> None:
    """Mark the repositories as this instance's. Runs on the builds queue, whose workers push."""
    instance_mark.write()


@shared_task
def see_mark(instance_pk: int) -> None:
    """See whose repositories these are. Runs on the registry queue."""
    aws_contact.check("registry")


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
    """For `manage.py doctor`: no AWS identity, and the mail server. Runs on the webhooks queue."""
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
    """Send again whatever is due. Done by the scheduler itself."""
    sweep_jobs.sweep()
