"""Rows for tests, valid under every constraint of the database."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from packaging.utils import canonicalize_name, canonicalize_version

from images.building.native.report import NativeReport
from images.models import (
    Alteration,
    BaseImage,
    Build,
    BuildHost,
    InstalledLibrary,
    Instance,
    LibraryIndex,
    ManagedImage,
    MLModel,
    RefusedRepository,
    Status,
    UnknownRepository,
)
from images.models.instance import MarkState, place
from images.models.lease import WorkState
from images.requirements import PipRequirement
from workspaces.models import InstanceRole, Membership, User, Workspace, WorkspaceRole

# A pyproject.toml with a marker and a group.
PYPROJECT = """\
[project]
name = "churn"
dependencies = ["numpy>=2", "tomli; python_version < '3.11'"]
[dependency-groups]
dev = ["pytest"]
"""
_count = itertools.count(1)
INSTANCE_ID = uuid.UUID("0f5a3f2e-5d0c-4b53-9d4b-3f1d6f0d7a11")


def digest(of: object) -> str:
    return "sha256:" + hashlib.sha256(str(of).encode()).hexdigest()


def make_user(username: str, role: InstanceRole = InstanceRole.BASIC, **values: Any) -> User:
    """An account that signs in by `force_login`; hashing a password takes longer than most tests."""
    return User.objects.create(username=username, role=role, **values)


def make_workspace(name: str = "", **members: tuple[User, WorkspaceRole]) -> Workspace:
    workspace = Workspace.objects.create(name=name or f"Team {next(_count)}")
    for user, role in members.values():
        Membership.objects.create(workspace=workspace, user=user, role=role)
    return workspace


def make_instance(state: MarkState = MarkState.OURS, **values: Any) -> Instance:
    """This instance, whose mark the repositories carry unless `state` says otherwise."""
    known: dict[str, Any] = {
        "instance_id": INSTANCE_ID,
        "place": place(),
        "state": state,
        "looked_at": timezone.now(),
        **values,
    }
    instance, _ = Instance.objects.update_or_create(pk=1, defaults=known)
    return instance


def make_base_image(**values: Any) -> BaseImage:
    number = next(_count)
    defaults: dict[str, Any] = {
        "image_type": "all",
        "python_version": "3.11",
        "platform_version": f"test-{number}",
        "source": "suite:bookworm",
        "state": WorkState.SUCCEEDED,
        "is_current": not values.get("state"),
        "repository": "rime-managed-images/base/all-3.11",
        "repository_ready_at": timezone.now(),
        "manifest_digest": digest(f"base {number}"),
        "interpreter": "/usr/bin/python3.11",
        "os_name": "Debian GNU/Linux 12 (bookworm)",
        "libc": "glibc",
        "libc_version": "2.36",
        "machine": "x86_64",
        "native": NativeReport().pack(),
        "config": {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []}},
    }
    return BaseImage.objects.create(**{**defaults, **values})


def make_image(name: str, **values: Any) -> ManagedImage:
    """A managed image with one build that fits its status; what it takes is `make_images`'."""
    (image,) = make_images([name], **values)
    return image


def make_lacking_image(name: str, *, base: BaseImage, **values: Any) -> ManagedImage:
    """An image of opencv-python without libGL.so.1, which the OS package libgl1 has; one can be added."""
    missing = {
        "soname": "libGL.so.1",
        "versions": [],
        "needed_by": "/opt/managed/lib/python3.11/site-packages/cv2/cv2.abi3.so",
        "library": "opencv-python",
    }
    index, _ = LibraryIndex.objects.get_or_create(
        distribution=base.os_id, version=base.os_version, defaults={"state": WorkState.SUCCEEDED}
    )
    index.packages.get_or_create(soname="libGL.so.1", package="libgl1")
    BuildHost.objects.get_or_create(name="able")
    return make_image(name, base=base, missing_libraries=[missing], **values)


def make_images(
    names: Sequence[str],
    *,
    base: BaseImage,
    status: Status = Status.READY,
    libraries: dict[str, str] | None = None,
    created_by: User | None = None,
    created_in: Workspace | None = None,
    **values: Any,
) -> list[ManagedImage]:
    """Images that differ by name alone, in the same few queries for any number of them."""
    usable = status in (Status.READY, Status.OUTDATED, Status.REBUILDING)
    images = ManagedImage.objects.bulk_create(
        ManagedImage(
            name=name,
            status=Status.BUILDING_FIRST_TIME if usable else status,
            python_version=base.python_version,
            pip_requirements=[{"name": "numpy", "extras": [], "specifier": ">=2"}],
            repository_ready_at=timezone.now(),
            created_by=created_by,
            created_in=created_in,
        )
        for name in names
    )
    installed = libraries or {"numpy": "2.4.6"}
    values = {"library_count": len(installed), **values}
    builds = Build.objects.bulk_create(
        Build(image=image, **build_values(image, base, status, **values)) for image in images
    )
    for image, build in zip(images, builds, strict=True):
        image.status, image.current_build = status, build if usable else None
        image.size_bytes = build.size_bytes if usable else 0
    if usable:
        # Of one statement for any number: Django's bulk_update has a branch for each row and column.
        build_of = Build.objects.filter(image=OuterRef("pk"))
        ManagedImage.objects.filter(pk__in=[image.pk for image in images]).update(
            status=status,
            current_build=Subquery(build_of.values("pk")),
        )
        InstalledLibrary.objects.bulk_create(
            library
            for build in builds
            for library in libraries_of(build, installed, build.image.name)
        )
    return images


def libraries_of(
    build: Build, installed: dict[str, str], current_of: str | None = None
) -> list[InstalledLibrary]:
    """Rows to be created, as the build's success would have left them."""
    return [
        InstalledLibrary(
            build=build,
            name=name,
            normalized_name=canonicalize_name(name),
            version=version,
            normalized_version=canonicalize_version(version),
            current_of=current_of,
        )
        for name, version in installed.items()
    ]


def make_build(
    image: ManagedImage, base: BaseImage, status: Status, number: int = 1, **values: Any
) -> Build:
    return Build.objects.create(
        image=image, **build_values(image, base, status, number=number, **values)
    )


def build_values(
    image: ManagedImage, base: BaseImage, status: Status, **values: Any
) -> dict[str, Any]:
    state = {
        Status.FAILED: WorkState.FAILED,
        Status.BUILDING_FIRST_TIME: WorkState.QUEUED,
    }.get(status, WorkState.SUCCEEDED)
    defaults: dict[str, Any] = {
        "number": 1,
        "base_image": base,
        "spec": image.spec,
        "state": state,
        "size_bytes": 181_000_000,
    }
    if state == WorkState.SUCCEEDED:
        defaults |= {"manifest_digest": digest(image.name), "lock": lock_of(numpy="2.4.6")}
    if state == WorkState.FAILED:
        defaults |= {
            "error_code": "resolution_failed",
            "error_message": "Because nosuchlib was not found in the package registry, "
            "your requirements are unsatisfiable.",
            "error_hint": "Check the spelling of the library's name.",
        }
    return {**defaults, **values}


def make_alteration(image: ManagedImage, **values: Any) -> Alteration:
    """A proposal to add pandas, resolved."""
    assert image.current_build is not None
    defaults: dict[str, Any] = {
        "base_image": image.current_build.base_image,
        "spec": replace(
            image.spec,
            pip_requirements=(*image.spec.pip_requirements, PipRequirement("pandas")),
        ),
        "state": WorkState.SUCCEEDED,
        "lock": lock_of(numpy="2.4.6", pandas="3.0.1"),
    }
    return Alteration.objects.create(image=image, **{**defaults, **values})


def make_model(
    workspace: Workspace, *, image: ManagedImage | None = None, name: str = "", **values: Any
) -> MLModel:
    """A model that needs numpy, running on `image` if one is given."""
    number = next(_count)
    defaults: dict[str, Any] = {
        "python_version": "3.11",
        "requirements": "numpy>=2",
        "pip_requirements": [{"name": "numpy", "extras": [], "specifier": ">=2"}],
    }
    model = MLModel.objects.create(
        workspace=workspace, name=name or f"Model {number}", **{**defaults, **values}
    )
    if image is not None:
        model.assignments.create(
            image=image, image_name=image.name, state="current", began_at=timezone.now()
        )
    return model


def make_unknown_repository(name: str, **values: Any) -> UnknownRepository:
    """A repository that a look has found, with one build in it."""
    tags = ["build-1", "build-1-provenance", "build-1-sbom"]
    found, _ = UnknownRepository.objects.get_or_create(
        name=name, defaults={"tags": tags, "size_bytes": 181_000_000, **values}
    )
    return found


def make_refused_repository(repository: str, **values: Any) -> RefusedRepository:
    """A repository of which AWS has refused the policy twice, ten minutes ago for the first time."""
    now = timezone.now()
    defaults = {
        "since": now - timedelta(minutes=10),
        "attempts": 2,
        "tried_at": now,
        "due_at": now + timedelta(minutes=20),
        "error_code": "registry_denied",
        "error_message": "AWS refused ecr:PutLifecyclePolicy (AccessDeniedException): no.",
        "error_hint": "An operator must allow ecr:PutLifecyclePolicy for this worker's role, as documented.",
    }
    return RefusedRepository.objects.create(repository=repository, **{**defaults, **values})


def lock_of(**versions: str) -> str:
    """A pylock.toml with these versions, as far as a page looks into it."""
    packages = (f'[[packages]]\nname = "{n}"\nversion = "{v}"\n' for n, v in versions.items())
    return 'lock-version = "1.0"\n' + "\n".join(packages)
