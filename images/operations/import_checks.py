"""The trial of an image's imports: asked for by the platform with each new manifest, and by people again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from images import wake
from images.models import Build, CheckResult, ImportCheck, ImportPolicy, ManagedImage
from images.models.lease import WorkState, error_columns, next_wake
from images.queries.capabilities import require_enabled
from images.queries.import_checks import policy_of
from ri_platform.errors import Conflict, Invalid
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.models import Workspace


def ask_for(image: ManagedImage, build: Build) -> None:
    """Have the imports of a build that succeeded tried; the caller's transaction.

    A manifest that was tried is not tried again; one that could not be, is.
    """
    if policy_of(image) != ImportPolicy.WARN:
        return
    check, created = ImportCheck.objects.get_or_create(
        manifest_digest=build.manifest_digest, defaults={"build": build}
    )
    known = check.state == WorkState.SUCCEEDED and check.result != CheckResult.SKIPPED
    if created:
        wake.after_commit(wake.Task.CHECK_IMPORTS, check.pk)
    elif not (known or check.is_active):
        queue_again(check, build)


def check_imports(
    actor: Actor, image: ManagedImage, *, workspace: Workspace | None = None
) -> ImportCheck:
    """Have the imports of the image's current build tried, also if they were before.

    Raises `Conflict` where nothing is built yet, while they are being tried, or where the policy is not to.
    """
    require(actor, Action.CHECK_IMPORTS, image)
    require_enabled()
    with transaction.atomic():
        locked = ManagedImage.objects.lock(image)
        build = locked.current_build
        if build is None:
            raise Conflict(
                f"{locked.name} has no image yet, so there is nothing to import.",
                hint="Build it first.",
            )
        if policy_of(locked) == ImportPolicy.OFF:
            raise Conflict(
                f"The imports of {locked.name} are not to be tried.",
                hint="Change its import policy to warn or refuse.",
            )
        ImportCheck.objects.get_or_create(
            manifest_digest=build.manifest_digest,
            defaults={"build": build, "state": WorkState.CANCELLED},
        )
        check = ImportCheck.objects.select_for_update().get(manifest_digest=build.manifest_digest)
        if check.is_active:
            raise Conflict(f"The imports of {locked.name} are being tried already.")
        queue_again(check, build)
        record_about("image.import_check_requested", actor, locked, workspace, build=build.number)
    return check


def set_import_policy(
    actor: Actor, image: ManagedImage, policy: str, *, workspace: Workspace | None = None
) -> ManagedImage:
    """Set what becomes of later builds whose imports fail; empty is as the installation has it."""
    require(actor, Action.SET_IMPORT_POLICY, image)
    require_enabled()
    refuse_unknown(policy)
    with transaction.atomic():
        locked = ManagedImage.objects.lock(image)
        before = locked.import_policy
        if before != policy:
            locked.import_policy, locked.updated_at = policy, timezone.now()
            locked.save(update_fields=["import_policy", "updated_at"])
            record_about(
                "image.import_policy_changed", actor, locked, workspace, before=before, after=policy
            )
    return locked


def refuse_unknown(policy: str) -> None:
    """Raise `Invalid` for what is no policy."""
    if policy and policy not in ImportPolicy.values:
        raise Invalid(
            f"{policy[:20]!r} is no import policy.",
            hint=f"Choose from {', '.join(ImportPolicy.values)}, or leave it empty.",
            field="import_policy",
        )


def queue_again(check: ImportCheck, build: Build) -> None:
    """Queue a check that has ended, upon the files of this build."""
    ImportCheck.objects.filter(pk=check.pk).update(
        build=build,
        state=WorkState.QUEUED,
        due_at=next_wake(),
        created_at=timezone.now(),
        attempts=0,
        result="",
        reason="",
        finished_at=None,
        **error_columns(None),
    )
    check.refresh_from_db()
    wake.after_commit(wake.Task.CHECK_IMPORTS, check.pk)
