"""Conversion of rows to the API's schemas, with a number of queries that does not grow with the rows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.utils import timezone

from images.api.drift_schemas import drift
from images.api.image_types import earlier_word
from images.api.job_schemas import NO_AGENT
from images.api.problems import problem
from images.models import (
    BaseImage,
    Build,
    ImportCheck,
    InstalledLibrary,
    ManagedImage,
    MovingTag,
    Status,
)
from images.models.base_source import REGISTRY, Source
from images.models.lease import WorkState
from images.queries import progress
from images.queries.comparison import Differences
from images.queries.drifts import DriftNotice, drifts_by_base, drifts_by_build
from images.queries.file_requirements import locked_by
from images.queries.images import newest_build, read_again
from images.queries.import_checks import current_checks
from images.queries.jobs import STATUS
from images.queries.missing_libraries import MissingNative, missing_by_build, missing_natives
from images.references import pull_reference, repository_of
from images.run_time.settings import NO_SETTINGS
from images.spec import ImageSpec
from ri_platform.ready import Given, Ready

TAGS: Ready[MovingTag] = Ready(
    lambda: (
        MovingTag.objects.filter(image=Given("image"))
        .select_related("build")
        .defer("build__lock", "build__spec")
    )
)


def images(
    rows: Sequence[ManagedImage], newest: Mapping[int, Build] | None = None
) -> list[dict[str, Any]]:
    """Images with their libraries, import checks and drifts, each at one query for all.

    `newest` has newest builds that were read already, by their images.
    """
    libraries: dict[int, list[dict[str, str]]] = defaultdict(list)
    installed = (
        InstalledLibrary.objects.filter(build__in=[row.current_build_id for row in rows])
        .order_by("build", "normalized_name")
        .values_list("build", "name", "version")
    )
    for build, name, version in installed:
        libraries[build].append({"name": name, "version": version})
    checks, bases = current_checks(rows), bases_of(rows, newest or {})
    drifts = drifts_by_build(row.current_build_id for row in rows)
    return [
        image(row, libraries.get(row.current_build_id or 0, []), checks.get(row.pk), bases[row.pk])
        | with_drift(drifts.get(row.current_build_id or 0))
        for row in rows
    ]


def with_drift(notice: DriftNotice | None) -> dict[str, Any]:
    return {"drift": drift(notice)} if notice else {}


def bases_of(rows: Sequence[ManagedImage], newest: Mapping[int, Build]) -> dict[int, BaseImage]:
    """The base image of each image's current build, or of its newest one if none has succeeded."""
    found = {row.pk: row.current_build.base_image for row in rows if row.current_build}
    found |= {pk: build.base_image for pk, build in newest.items() if pk not in found}
    if without := [row.pk for row in rows if row.pk not in found]:
        builds = (
            Build.objects.filter(image__in=without).order_by("image_id", "-number").defer("lock")
        )
        for build in builds.distinct("image_id").select_related("base_image"):
            found[build.image_id] = build.base_image
    return found


def detail(row: ManagedImage) -> dict[str, Any]:
    latest = newest_build(row)
    assert latest is not None
    tags = [
        {
            "name": tag.name,
            "build": tag.build.number,
            "pushed": tag.is_pushed,
            "error": tag.error,
        }
        for tag in TAGS.rows(image=row.pk)
    ]
    return {
        **images([row], {row.pk: latest})[0],
        "latest_build": build(latest),
        "expected_digest": latest.expected_digest,
        "missing_libraries": list(map(missing_library, missing_natives(row.current_build))),
        "locked_by": locked_by(latest),
        "tags": tags,
    }


def image(
    row: ManagedImage,
    libraries: list[dict[str, str]],
    check: ImportCheck | None,
    base: BaseImage,
) -> dict[str, Any]:
    current = row.current_build
    return {
        "name": row.name,
        "description": row.description,
        "base_image": {"name": f"{row.image_type}-python{row.python_version}"},
        "role_type": "ROLE_TYPE_USER_DEFINED",
        "child_images": [],
        "rime_tag": base.platform_version,
        "repo_uri": uri(repository_of(row)),
        "status": f"STATUS_{row.status}",
        **spec(row.spec, base),
        "rime_image_type": earlier_word(row.image_type),
        "libc": base.libc_and_version,
        "machine": base.machine,
        "pip_libraries": libraries,
        "import_policy": row.import_policy,
        "import_check": import_check(check) if check else None,
        "owner": {
            "user": row.owning_user.username if row.owning_user else None,
            "workspace": row.created_in.name if row.created_in else None,
        },
        "digest": current.manifest_digest if current else "",
        "pull_reference": pull_reference(row, current) if current else "",
        "size_bytes": current.size_bytes if current else 0,
        "current_build": current.number if current else None,
        "creation_time": row.created_at,
        "update_time": row.updated_at,
    }


def import_check(row: ImportCheck) -> dict[str, Any]:
    return {
        "status": row.status.value,
        "tried": row.tried,
        "failed": row.failed,
        "conflicts": row.conflicts,
        "seconds": row.seconds,
        "message": row.skipped_because,
    }


def base_images(rows: Iterable[BaseImage]) -> list[dict[str, Any]]:
    """Base images as images of the role SYSTEM, with what was built on each of them."""
    children: dict[int, list[str]] = defaultdict(list)
    current = ManagedImage.objects.existing().filter(current_build__isnull=False)
    for base, name in current.order_by("name").values_list("current_build__base_image", "name"):
        children[base].append(name)
    for row in BaseImage.objects.current().filter(built_on__isnull=False):
        children[row.built_on_id or 0].append(base_name(row))
    found = list(rows)
    drifts = drifts_by_base(found)
    return [base_image(row, children[row.pk]) | with_drift(drifts.get(row.pk)) for row in found]


def base_name(row: BaseImage) -> str:
    return f"{row.image_type}-python{row.python_version}"


# Docker's registries by their hosts, as clients tell them apart.
ECR = re.compile(r"(\d{12}\.dkr[.-]ecr\b[^/]*|public\.ecr\.aws)/")
GAR = re.compile(r"([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)/")


def base_of_base(row: BaseImage) -> dict[str, str | None]:
    """What a base image was made of: another base image, or its source."""
    if row.built_on is not None:
        return {"name": base_name(row.built_on)}
    source, kind = Source.parse(row.source), None
    if source.kind is REGISTRY and ECR.match(source.name):
        kind = "REFERENCE_TYPE_EXTERNAL_ECR"
    elif source.kind is REGISTRY and GAR.match(source.name):
        kind = "REFERENCE_TYPE_EXTERNAL_GAR"
    return {"name": row.source, "reference_type": kind}


def base_image(row: BaseImage, children: list[str]) -> dict[str, Any]:
    return {
        "name": base_name(row),
        "description": "",
        "base_image": base_of_base(row),
        "role_type": "ROLE_TYPE_SYSTEM",
        "child_images": [{"name": name} for name in children],
        "rime_tag": row.platform_version,
        "repo_uri": uri(row.repository),
        "status": BASE_STATUS.get(row.state, f"STATUS_{Status.BUILDING_FIRST_TIME}"),
        "package_requirements": [],
        "pip_requirements": [],
        "pip_libraries": [{"name": name, "version": version} for name, version in row.libraries],
        "python_version": row.python_version,
        "image_type": row.image_type,
        "rime_image_type": earlier_word(row.image_type),
        "libc": row.libc_and_version,
        "machine": row.machine,
        "allow_source": False,
        "indexes": [],
        "allow_prereleases": False,
        "locked": False,
        "run_time": NO_SETTINGS.everything(),
        "import_policy": "",
        "digest": row.manifest_digest,
        "pull_reference": f"{uri(row.repository)}@{row.manifest_digest}"
        if row.manifest_digest
        else "",
        "size_bytes": row.size_bytes,
        "current_build": None,
        "error": problem(row),
        "creation_time": row.created_at,
        "update_time": row.created_at,
    }


BASE_STATUS = {WorkState.SUCCEEDED.value: "STATUS_READY", WorkState.FAILED.value: "STATUS_FAILED"}


def spec(wanted: ImageSpec, base: BaseImage) -> dict[str, Any]:
    """The requested content of an image. Its OS packages are of the type of the base image's system, which
    is left out until it is known: some clients fail at an unspecified one."""
    family = base.packages_by
    return {
        "package_requirements": [
            {
                "name": package.name,
                "version_specifier": package.version,
                "package_type": family.package_type if family else None,
            }
            for package in wanted.os_packages
        ],
        "pip_requirements": [
            {
                "name": name_with_extras(item.name, item.extras),
                "version_specifier": item.specifier,
                "index": item.index,
                "hashes": list(item.hashes),
            }
            for item in wanted.pip_requirements
        ],
        "python_version": wanted.python_version,
        "image_type": wanted.image_type,
        "allow_source": wanted.allow_source,
        "indexes": list(wanted.indexes),
        "allow_prereleases": wanted.allow_prereleases,
        "locked": wanted.is_locked,
        "run_time": wanted.run_time.everything(),
    }


def builds(rows: Sequence[Build]) -> list[dict[str, Any]]:
    """Builds with what each lacks, which takes one query at most for all."""
    missing = missing_by_build(rows)
    return [describe_build(row, missing[row.pk]) for row in rows]


def build(row: Build) -> dict[str, Any]:
    return builds([row])[0]


def describe_build(row: Build, missing: Sequence[MissingNative]) -> dict[str, Any]:
    return {
        "number": row.number,
        "state": row.state,
        "reason": row.reason,
        "base_image": str(row.base_image),
        "creation_time": row.created_at,
        "start_time": row.started_at,
        "completion_time": row.finished_at,
        "steps": [vars(step) for step in progress.steps(row)],
        "digest": row.manifest_digest,
        "expected_digest": row.expected_digest,
        "size_bytes": row.size_bytes,
        "pushed_bytes": row.pushed_bytes,
        "missing_libraries": list(map(missing_library, missing)),
        "error": problem(row),
        "failed_attempts": row.failed_attempts,
    }


def missing_library(item: MissingNative) -> dict[str, Any]:
    return {
        "soname": item.soname,
        "versions": list(item.versions),
        "needed_by": item.needed_by,
        "requirement": item.library,
        "packages": list(item.packages),
    }


def image_and_job(build: Build) -> dict[str, Any]:
    """The image of a build that was just asked for, and the build as the original's job."""
    return {"image": detail(read_again(build.image)), "job": job(build)}


def job(row: Build) -> dict[str, Any]:
    """A build as the original's job."""
    ended = row.finished_at or timezone.now()
    seconds = (ended - row.started_at).total_seconds() if row.started_at else 0
    reason = "NOT_TERMINATED" if row.is_active else "COMPLETED"
    if row.state == WorkState.FAILED:
        reason = "GENERIC_ERROR"
    return {
        "job_id": str(row.pk),
        "status": STATUS[WorkState(row.state)],
        "creation_time": row.created_at,
        "start_time": row.started_at,
        "completion_time": row.finished_at,
        "running_time_secs": max(0.0, seconds),
        "cancellation_requested": row.state == WorkState.CANCELLED,
        "termination_reason": f"TERMINATION_REASON_{reason}",
        "agent_id": {"uuid": NO_AGENT},
        "error_msg": f"{row.error_message} {row.error_hint}".strip() or None,
    }


def differences(found: Differences) -> dict[str, Any]:
    """The differences: removed are those of the left side only, added those of the right side only."""
    return {
        "added": [vars(change) for change in found.only_right],
        "removed": [vars(change) for change in found.only_left],
        "changed": [vars(change) for change in found.changed],
        "same": found.same,
    }


def name_with_extras(name: str, extras: Sequence[str]) -> str:
    return f"{name}[{','.join(extras)}]" if extras else name


def uri(repository: str) -> str:
    return f"{settings.REGISTRY_HOST}/{repository}" if settings.REGISTRY_HOST else repository
