"""The doctor's trials on workers, each with the worker's own identity. A number names a trial.

Their findings go by way of the cache, which is in PostgreSQL. A trial that is over is left alone, so that
a worker that was busy makes no repository that nobody deletes.
"""

from __future__ import annotations

import gzip
import json
import logging
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.core.cache import cache

from images.building.cache import work_folder
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.doctor import here
from images.doctor.abilities import abilities, source_builds
from images.doctor.findings import Finding, State, failure, ok, skip, warning
from images.doctor.mail import mail_server
from images.errors import BuildError, RegistryError, ResolutionFailed
from images.indexes import Indexes
from images.jobs import instance_mark
from images.models import Instance
from images.registry import connection, naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    digest_of,
)
from images.registry.ecr import identity
from images.requirement_files.configured import parse_pip_requirements

logger = logging.getLogger(__name__)

TRIAL_SECONDS = 600
RESOLVE_SECONDS = 60.0
LEAST_FREE, GOOD_FREE = 2_000_000_000, 10_000_000_000
TAG = "trial"


def key(trial: int, part: str = "") -> str:
    return f"doctor-{trial}-{part}"


def begin(trial: int) -> None:
    cache.set(key(trial), True, TRIAL_SECONDS)


def end(trial: int) -> None:
    cache.delete(key(trial))


def answer_of(trial: int, part: str) -> list[Finding] | None:
    """The findings of the worker of `part`; None as long as it has not answered."""
    found = cache.get(key(trial, part))
    return None if found is None else [Finding.from_json(item) for item in json.loads(found)]


def answer(trial: int, part: str, examine: Callable[[], Iterator[Finding]]) -> None:
    """Examine, unless the trial is over, and have the doctor know."""
    if cache.get(key(trial)) is None:
        return
    found: list[Finding] = []
    try:
        found += examine()
    except Exception as error:
        logger.exception("The doctor's trial broke.")
        found.append(
            failure(part.capitalize(), f"The trial broke: {error}", "Look at the worker's log.")
        )
    cache.set(key(trial, part), json.dumps([item.to_json() for item in found]), TRIAL_SECONDS)


def trial_repository(trial: int) -> str:
    """Two slashes deep, so that no managed image's name meets it."""
    prefix = naming.effective_prefix()
    return naming.guard(prefix, f"{prefix}/{naming.DOCTOR}/trial-{trial}")


# --- registry server --------------------------------------------------------------------------------------


def registry_server(trial: int) -> Iterator[Finding]:
    yield from check_authorization("Registry worker")
    mark = check_mark()
    yield mark
    if mark.state != State.FAILED:
        yield from try_repository(trial)


def try_repository(trial: int) -> Iterator[Finding]:
    what = "Registry worker: repository"
    try:
        control = connection.control()
        control.create_repository(trial_repository(trial), ours=True)
        control.put_lifecycle_policy(trial_repository(trial))
        control.describe_images(trial_repository(trial))
    except RegistryError as error:
        yield failure(what, error.message, error.hint or "Look at the worker's role.")
    else:
        yield ok(what, f"It made {trial_repository(trial)} with a lifecycle policy.")


def check_mark() -> Finding:
    """Whose repositories there are: on another instance's, nothing is tried."""
    what = "Registry worker: mark"
    try:
        instance_mark.look()
    except RegistryError as error:
        return failure(what, error.message, error.hint or "Look at the worker's role.")
    instance = Instance.objects.this()
    if instance.may_act:
        return ok(what, f"The repositories are those of this instance, {instance}.")
    return warning(what, "They are not marked yet.", "Start a builds worker, or look at its log.")


def clean_up(trial: int) -> Iterator[Finding]:
    what = "Registry worker: removal"
    if Instance.objects.this().is_refused:
        yield skip(what, "It made nothing.", "See its mark.")
        return
    try:
        connection.control().delete_repository(trial_repository(trial))
    except RegistryError as error:
        yield failure(
            what,
            error.message,
            f"{error.hint} Delete the repository {trial_repository(trial)} by hand.".strip(),
        )
    else:
        yield ok(what, f"It deleted {trial_repository(trial)}.")


# --- build jobs -------------------------------------------------------------------------------------------


def build_jobs(trial: int) -> Iterator[Finding]:
    yield from check_authorization("Builds worker")
    yield disk()
    yield from push_and_pull(trial)
    yield package_index()
    yield from abilities()


def check_authorization(name: str) -> Iterator[Finding]:
    what = f"{name}: AWS identity"
    try:
        endpoint = connection.control().authorization().endpoint
    except RegistryError as error:
        yield failure(what, error.message, error.hint or "Look at the worker's role.")
    else:
        yield ok(what, f"From {identity.source()}; AWS gave a token for {endpoint}.")


def push_and_pull(trial: int) -> Iterator[Finding]:
    what, repository = "Builds worker: push and pull", trial_repository(trial)
    if Instance.objects.this().is_refused:
        yield skip(
            what, "The repositories are another instance's.", "See the registry worker's mark."
        )
        return
    try:
        with (
            connection.registry_client() as client,
            work_folder(settings.CACHE_DIR, "doctor") as work,
        ):
            size = there_and_back(client, repository, work)
    except RegistryError as error:
        yield failure(
            what,
            error.message,
            error.hint or "Look at the worker's role, and at its way to the registry.",
        )
    else:
        yield ok(what, f"An image of {size} bytes went to {repository} and came back.")


def there_and_back(client: RegistryClient, repository: str, work: Path) -> int:
    """Push an image that nobody has pushed before and read it back; its size in bytes."""
    content = {
        OCI_LAYER_GZIP: gzip.compress(secrets.token_bytes(512)),
        OCI_CONFIG: json.dumps({"architecture": "amd64", "os": "linux"}).encode(),
    }
    blobs = {kind: Descriptor(kind, digest_of(raw), len(raw)) for kind, raw in content.items()}
    for kind, blob in blobs.items():
        file = work / "blob"
        file.write_bytes(content[kind])
        client.upload_blob(repository, blob.digest, blob.size, file, check=lambda: None)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": blobs[OCI_CONFIG].to_json(),
            "layers": [blobs[OCI_LAYER_GZIP].to_json()],
        }
    ).encode()
    client.put_manifest(repository, TAG, manifest, OCI_MANIFEST)
    back = client.get_manifest(repository, TAG)
    if back.raw != manifest:
        raise RegistryError("The registry gave back another manifest than was pushed.")
    # Its digest is verified while it is read.
    layer = client.read_blob(repository, blobs[OCI_LAYER_GZIP], 1 << 20, check=lambda: None)
    return len(layer) + len(manifest)


def package_index() -> Finding:
    """Ask the index for a library as a build does; that it has none of this name is an answer, too."""
    what = "Builds worker: package index"
    lines: list[str] = []
    try:
        lock = resolve(
            parse_pip_requirements("pip"),
            Target(python_version="3.11"),
            preinstalled={},
            log=lines.append,
            check=lambda: None,
            indexes=Indexes.from_settings(),
            timeout=RESOLVE_SECONDS,
        )
    except ResolutionFailed as error:
        if "not found in the package registry" in error.message:
            return ok(what, "It answers, and has no pip.")
        return failure(what, error.message, ASK_INDEX)
    except BuildError as error:
        return failure(what, error.message, ASK_INDEX)
    return ok(what, f"It answers: pip {lock.wheels[0].version} is its newest.")


ASK_INDEX = (
    "Look at RI_PACKAGE_INDEX_URL, its credentials and RI_PACKAGE_CA_FILE, "
    "and at the worker's network."
)


def disk() -> Finding:
    what = "Builds worker: disk"
    try:
        with work_folder(settings.CACHE_DIR, "doctor") as work:
            (work / "file").write_bytes(b"0" * 4096)
            free = shutil.disk_usage(work).free
    except OSError as error:
        return failure(
            what,
            f"{settings.CACHE_DIR} cannot be written: {error.strerror}.",
            "Mount a folder there that the worker's user may write, or set RI_CACHE_DIR.",
        )
    found = f"{free / 1e9:.1f} GB are free in {settings.CACHE_DIR}."
    more = "Give it a larger disk, or lower RI_WHEEL_CACHE_MB and RI_LAYER_CACHE_MB."
    if free < LEAST_FREE:
        return failure(what, found, more)
    if free < GOOD_FREE:
        return warning(what, found, more)
    return ok(what, found)


# --- sources ---------------------------------------------------------------------------------------------


def sources(trial: int) -> Iterator[Finding]:
    yield from check_authorization("Sources worker")
    yield source_builds()


# --- webhooks ---------------------------------------------------------------------------------------------


def webhooks(trial: int) -> Iterator[Finding]:
    yield here.check_no_identity("Webhooks worker")
    yield mail_server()
