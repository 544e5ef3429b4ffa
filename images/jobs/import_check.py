"""Import checks: one from claim to end, and the trial inside a build whose policy is to refuse.

A check comes after the build, so an image is ready without it; its result is told when it is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images.attestations import Library
from images.errors import BuildError, ImportCheckUnavailable, ImportFailed
from images.jobs import import_trial
from images.jobs.journal import Journal
from images.jobs.leased import carry_out
from images.models import Build, BuildHost, CheckResult, ImageEvent, ImportCheck, ManagedImage
from images.models.lane import Lane
from images.models.lease import WorkState, end_columns
from images.operations.webhooks import announce
from images.registry.distribution.descriptors import OCI_LAYER_GZIP, Descriptor
from ri_platform.errors import DomainError
from ri_platform.metrics import IMPORT_CHECKS

TURNS_COUNT_FOR = timedelta(hours=1)
# How long a check waits for a worker that can do it to start, before it is given up.
UNSERVED_AFTER = timedelta(minutes=10)


def run_next() -> None:
    """Bring one check to its end: of whoever had the fewest within the hour, the platform's own last."""
    waiting = ImportCheck.objects.claimable().order_by("created_at")
    served = Counter(
        ImportCheck.objects.filter(started_at__gt=timezone.now() - TURNS_COUNT_FOR).values_list(
            "build__requested_by", flat=True
        )
    )
    in_turn = sorted(
        waiting.values_list("pk", "build__requested_by"),
        key=lambda row: (row[1] is None, served[row[1]]),
    )
    for check_id, _ in in_turn:
        if run(check_id):
            return


def run(check_id: int) -> bool:
    """Claim a check and bring it to its end; False if there is nothing to claim."""
    check = ImportCheck.objects.claim(check_id, settings.BUILD_LEASE_SECONDS)
    if check is None:
        return False
    carry_out(
        check,
        settings.BUILD_LEASE_SECONDS,
        lambda holder: attempt(check, holder.check),
        fail=lambda error: fail(check, error),
        broke=BuildError(
            "Trying the imports broke on the platform's side; its operators' log says where.",
            hint="Have them tried again; if that fails the same way, tell your administrator.",
        ),
    )
    return True


def attempt(check: ImportCheck, still_ours: Callable[[], None]) -> None:
    """Try the imports and record the result. Raises a `DomainError` if they cannot be tried."""
    layers, libraries = files_of(check.build)
    try:
        trial = import_trial.try_build(check.build, layers, libraries, still_ours)
    except ImportCheckUnavailable as error:
        finish(check, {"result": CheckResult.SKIPPED, "reason": error.message})
    else:
        finish(check, import_trial.columns_of(trial))


def files_of(build: Build) -> tuple[list[Descriptor], list[str]]:
    """The layers of a build that succeeded, the lowest first, and the names of the libraries it brought."""
    uses = build.layers.select_related("layer").defer("layer__paths")
    layers = [Descriptor(OCI_LAYER_GZIP, use.layer.digest, use.layer.size_bytes) for use in uses]
    return layers, list(build.libraries.exclude(sha256="").values_list("name", flat=True))


def finish(check: ImportCheck, columns: dict[str, Any]) -> None:
    with transaction.atomic():
        check.succeed(**columns)
        tell(check)
    IMPORT_CHECKS.labels(check.result).inc()


def fail(check: ImportCheck, error: DomainError) -> None:
    with transaction.atomic():
        check.fail(error)
        tell(check)
    IMPORT_CHECKS.labels("broken").inc()


def tell(check: ImportCheck) -> None:
    """Announce the end of a check for every image that is this manifest now."""
    images = ManagedImage.objects.existing().filter(
        current_build__manifest_digest=check.manifest_digest
    )
    announce(
        ImageEvent.IMPORT_CHECKED,
        images.values_list("name", flat=True),
        digest=check.manifest_digest,
        status=check.status.value,
        tried=check.tried,
        failed=check.failed,
        conflicts=check.conflicts,
    )


def skip_unserved() -> None:
    """Give up checks that wait where no worker that takes them is running."""
    waiting = ImportCheck.objects.filter(
        state=WorkState.QUEUED, created_at__lt=timezone.now() - UNSERVED_AFTER
    )
    if not waiting.exists() or BuildHost.objects.alive().filter(queue=Lane.SOURCES).exists():
        return
    given_up = waiting.update(
        **end_columns(WorkState.SUCCEEDED),
        result=CheckResult.SKIPPED,
        reason=f"No {Lane.SOURCES} worker is running, and only these try imports.",
    )
    IMPORT_CHECKS.labels(CheckResult.SKIPPED.value).inc(given_up)


# --- inside a build ---------------------------------------------------------------------------------------


def refuse_broken(
    build: Build,
    digest: str,
    layers: Sequence[Descriptor],
    libraries: Sequence[Library],
    journal: Journal,
    check: Callable[[], None],
) -> None:
    """Try the imports of a build's image before it is recorded.

    Raises `ImportFailed`, and `ImportCheckUnavailable` where they cannot be tried: such a promise must not be
    given unseen. An image that has passed is not tried again.
    """
    passed = {"state": WorkState.SUCCEEDED, "result": CheckResult.PASSED}
    if ImportCheck.objects.filter(manifest_digest=digest, **passed).exists():
        journal.line("The imports of this very image have passed before.")
        return
    brought = [library.name for library in libraries if library.sha256]
    try:
        trial = import_trial.try_build(build, layers, brought, check)
    except ImportCheckUnavailable as error:
        raise ImportCheckUnavailable(
            f"The imports cannot be tried before the image is ready. {error.message}",
            hint="An operator can run builds workers that make sandboxes; or change the import policy "
            "to warn.",
        ) from error
    for line in import_trial.log_lines(trial):
        journal.line(line)
    remember(build, digest, import_trial.columns_of(trial))
    if not trial.passed:
        hints = [item.hint for item in trial.failed if item.hint]
        raise ImportFailed(
            f"What was asked for cannot be imported. {import_trial.summary(trial)}",
            hint=hints[0] if hints else "The log has the ends of the tracebacks.",
        )


def remember(build: Build, digest: str, columns: dict[str, Any]) -> None:
    """Record a result by the manifest, unless a worker is at a check of it."""
    ended = {**end_columns(WorkState.SUCCEEDED), **columns, "build": build}
    check, created = ImportCheck.objects.get_or_create(manifest_digest=digest, defaults=ended)
    if not created:
        still = ImportCheck.objects.filter(pk=check.pk).exclude(state=WorkState.RUNNING)
        still.update(**ended)
    IMPORT_CHECKS.labels(columns["result"].value).inc()
