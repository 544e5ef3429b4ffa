"""Rows as the API's schemas, at a fixed number of queries however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings

from images.models import BaseImage, Build, InstalledLibrary, Lease, ManagedImage, Status
from images.models.lease import WorkState
from images.os_families import UNKNOWN_PACKAGE_TYPE
from images.queries import progress
from images.queries.comparison import Differences
from images.queries.file_requirements import locked_by
from images.references import pull_reference, repository_of
from images.spec import ImageSpec


def images(rows: Sequence[ManagedImage]) -> list[dict[str, Any]]:
    """Images with their installed libraries, which take one query for all."""
    libraries: dict[int, list[dict[str, str]]] = defaultdict(list)
    installed = (
        InstalledLibrary.objects.filter(build__in=[row.current_build_id for row in rows])
        .order_by("build", "normalized_name")
        .values_list("build", "name", "version")
    )
    for build, name, version in installed:
        libraries[build].append({"name": name, "version": version})
    return [image(row, libraries.get(row.current_build_id or 0, [])) for row in rows]


def detail(row: ManagedImage) -> dict[str, Any]:
    latest = row.builds.select_related("base_image").first()
    assert latest is not None
    return {**images([row])[0], "latest_build": build(latest), "locked_by": locked_by(row)}


def image(row: ManagedImage, libraries: list[dict[str, str]]) -> dict[str, Any]:
    current = row.current_build
    base = current.base_image if current else None
    return {
        "name": row.name,
        "base_image": {"name": f"{row.image_type}-python{row.python_version}"},
        "role_type": "ROLE_TYPE_USER_DEFINED",
        "child_images": [],
        "rime_tag": base.platform_version if base else "",
        "repo_uri": uri(repository_of(row)),
        "status": f"STATUS_{row.status}",
        **spec(row.spec, base),
        "pip_libraries": libraries,
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


def base_images(rows: Iterable[BaseImage]) -> list[dict[str, Any]]:
    """Base images as images of the role SYSTEM, with what was built on each of them."""
    children: dict[int, list[str]] = defaultdict(list)
    current = ManagedImage.objects.existing().filter(current_build__isnull=False)
    for base, name in current.order_by("name").values_list("current_build__base_image", "name"):
        children[base].append(name)
    return [base_image(row, children[row.pk]) for row in rows]


def base_image(row: BaseImage, children: list[str]) -> dict[str, Any]:
    return {
        "name": f"{row.image_type}-python{row.python_version}",
        "base_image": {"name": row.source},
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
        "allow_source": False,
        "indexes": [],
        "locked": False,
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


def spec(wanted: ImageSpec, base: BaseImage | None) -> dict[str, Any]:
    """What an image was asked to contain. Its OS packages are of the type of the base image's system,
    unspecified until that is known."""
    family = base.packages_by if base else None
    return {
        "package_requirements": [
            {
                "name": package.name,
                "version_specifier": package.version,
                "package_type": family.package_type if family else UNKNOWN_PACKAGE_TYPE,
            }
            for package in wanted.os_packages
        ],
        "pip_requirements": [
            {
                "name": with_extras(item.name, item.extras),
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
        "locked": wanted.is_locked,
    }


def build(row: Build) -> dict[str, Any]:
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
        "size_bytes": row.size_bytes,
        "pushed_bytes": row.pushed_bytes,
        "error": problem(row),
    }


def image_and_job(build: Build) -> dict[str, Any]:
    """The image of a build that was just asked for, and the build as the original's job."""
    image = build.image
    image.refresh_from_db()
    return {
        "image": detail(image),
        "job": {"job_id": str(build.pk), "creation_time": build.created_at},
    }


def problem(work: Lease) -> dict[str, str] | None:
    """Why work failed, if it did."""
    if not work.error_code:
        return None
    return {"reason": work.error_code, "message": work.error_message, "hint": work.error_hint}


def differences(found: Differences) -> dict[str, Any]:
    """What differs, with what only the left side has as removed, and what only the right has as added."""
    return {
        "added": [vars(change) for change in found.only_right],
        "removed": [vars(change) for change in found.only_left],
        "changed": [vars(change) for change in found.changed],
        "same": found.same,
    }


def with_extras(name: str, extras: Sequence[str]) -> str:
    return f"{name}[{','.join(extras)}]" if extras else name


def uri(repository: str) -> str:
    return f"{settings.REGISTRY_HOST}/{repository}" if settings.REGISTRY_HOST else repository
