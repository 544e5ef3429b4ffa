"""Reading a distribution's index of native libraries: first when an image lacks one, then weekly."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from images import wake
from images.building.bases.distributions import DISTRIBUTIONS
from images.building.cache import work_folder
from images.building.containers import container, os_packages
from images.building.containers.container import Container
from images.building.containers.sandbox import SandboxBroken
from images.building.native import debian_contents, rpm_provides
from images.errors import BaseImageUnusable
from images.jobs.base_files import hold_files
from images.jobs.leased import Holder, carry_out
from images.models import BaseImage, LibraryIndex, LibraryPackage
from images.models.lease import WorkState, end_columns

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 5_000


def ask_for(base: BaseImage) -> None:
    """Have the index of a base image's distribution read, unless that was asked for before."""
    if not is_readable(base):
        return
    index, is_new = LibraryIndex.objects.get_or_create(
        distribution=base.os_id, version=base.os_version
    )
    if is_new:
        wake.after_commit(wake.Task.READ_LIBRARY_INDEX, index.pk)


def is_readable(base: BaseImage) -> bool:
    """Whether the packages of its distribution can be told by their libraries."""
    if debian_contents.is_known(base.os_id, base.os_version):
        return True
    family = base.packages_by
    return bool(family and family.libraries and base.os_id and base.os_version)


def read_again() -> None:
    """Have outdated indexes read again, and forget those of distributions that no base image has now."""
    of_base = BaseImage.objects.current().filter(
        os_id=OuterRef("distribution"), os_version=OuterRef("version")
    )
    outdated = LibraryIndex.objects.outdated()
    outdated.filter(~Exists(of_base)).delete()
    outdated.update(**{**end_columns(WorkState.QUEUED), "finished_at": None})


def run(index_id: int) -> None:
    """Claim an index and read it; nothing happens if there is nothing to claim."""
    index = LibraryIndex.objects.claim(index_id, settings.BUILD_LEASE_SECONDS)
    if index is None:
        return
    carry_out(
        index,
        settings.BUILD_LEASE_SECONDS,
        lambda holder: read(index, holder),
        fail=index.fail,
        broke=BaseImageUnusable(
            "The reading broke on the platform's side; the builds worker's log says where."
        ),
    )


def read(index: LibraryIndex, holder: Holder) -> None:
    with work_folder(settings.CACHE_DIR, f"libraries-{index.pk}") as work:
        found = library_packages(index, work, holder.check)
    with transaction.atomic():
        index.succeed()
        index.packages.all().delete()
        LibraryPackage.objects.bulk_create(
            (
                LibraryPackage(index=index, soname=soname, package=package)
                for soname, package in sorted(found)
            ),
            batch_size=ROWS_AT_ONCE,
        )
    logger.info("The index of the %s was read: %s libraries.", index, f"{len(found):,}")


def library_packages(
    index: LibraryIndex, work: Path, check: Callable[[], None]
) -> set[tuple[str, str]]:
    """(soname, package) as the distribution says. Raises `BaseImageUnusable` if it cannot be asked."""
    if distribution := DISTRIBUTIONS.get(index.distribution):
        mirror = distribution.mirror_of_this_machine()
        return debian_contents.library_packages(
            distribution, index.version, work / "apt", mirror, check
        )
    base = BaseImage.objects.current().filter(
        os_id=index.distribution, os_version=index.version
    ).first()  # fmt: skip
    family = base.packages_by if base else None
    if base is None or family is None:
        raise BaseImageUnusable(f"No base image of {index.distribution} {index.version} is left.")
    if refusal := container.problem():
        raise BaseImageUnusable(refusal)
    budget = replace(os_packages.budget(), output=rpm_provides.MAX_OUTPUT)
    try:
        with (
            os_packages.time_limit() as deadline,
            hold_files(base, budget, deadline, check) as files,
        ):
            box = Container(files, work, budget, deadline, logger.debug, check)
            return rpm_provides.library_packages(box, family, base.os_name)
    except SandboxBroken as error:
        raise BaseImageUnusable(f"The builds worker cannot run dnf: {error}") from error
