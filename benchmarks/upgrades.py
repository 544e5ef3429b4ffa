"""A new version of a base image under many images: `python -m benchmarks.upgrades --images 200`.

Starts an instance of its own, builds that many images (one lock, each its own repository), imports the
base image anew with one file added, and waits until all have followed. Tells the worker's time for
each, and the pace, which stays below what ECR's PutImage takes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.builders import ROOT, instance
from tests.rootfs import patched_debian


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    wanted: int = parser.parse_args().images
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "benchmarks") as folder,
        instance(Path(folder) / "state"),
    ):
        build_images(wanted)
        upgrade(wanted, Path(folder))


def build_images(wanted: int) -> None:
    from django.db import transaction

    from images.models import Build, ManagedImage, Status
    from images.operations.images import create_image
    from images.requirement_files.configured import parse_pip_requirements
    from images.spec import ImageSpec
    from workspaces.access import Actor
    from workspaces.models import User

    actor = Actor(User.objects.get(username="admin"))
    spec = ImageSpec("all", "3.11", tuple(parse_pip_requirements("numpy\npandas\nscikit-learn")))
    lock, begun = "", time.monotonic()
    for number in range(wanted):
        with transaction.atomic():
            image = create_image(actor, f"many-{number}", spec)
            image.builds.update(lock=lock)
        while not lock:
            time.sleep(0.1)
            lock = (
                image.builds.filter(state="succeeded").values_list("lock", flat=True).first() or ""
            )
    while ManagedImage.objects.filter(status=Status.READY).count() < wanted:
        time.sleep(0.2)
        assert not Build.objects.filter(state="failed").exists()
    print(f"{wanted} images built in {time.monotonic() - begun:.0f} s", flush=True)


def upgrade(wanted: int, folder: Path) -> None:
    from django.conf import settings

    from images.models import BaseImage, Build, BuildReason, ManagedImage, Status
    from images.operations import base_images

    base_images.import_base_image(
        None, image_type="all", python_version="3.11", platform_version="newer",
        source=f"rootfs:{patched_debian(settings.CACHE_DIR, folder)}",
    )  # fmt: skip
    while not BaseImage.objects.current().filter(platform_version="newer").exists():
        time.sleep(0.2)
    begun = time.monotonic()
    upgrades = Build.objects.filter(reason=BuildReason.UPGRADE, state="succeeded")
    while upgrades.count() < wanted:
        time.sleep(0.2)
        assert not ManagedImage.objects.filter(status=Status.FAILED).exists()
    seconds = time.monotonic() - begun
    took = [
        (build.finished_at - build.started_at).total_seconds()
        for build in upgrades
        if build.finished_at and build.started_at
    ]
    print(
        f"{wanted} images upgraded in {seconds:.0f} s, {wanted / seconds:.1f} a second; worker time "
        f"an image: median {statistics.median(took):.3f} s, longest {max(took):.3f} s"
    )
    for phase in ("resolve", "push", "verify"):
        times = [build.timings[phase]["seconds"] for build in upgrades]
        print(f"  {phase}: median {statistics.median(times):.3f} s")


if __name__ == "__main__":
    main()
