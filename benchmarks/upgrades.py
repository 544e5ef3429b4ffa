"""The upgrade of many images to a new base image: `python -m benchmarks.upgrades --images 200 --workers 2`.

Starts an instance of its own on a local registry that refuses what is beyond ECR's ten manifests a second,
builds that many images (one lock, each its own repository), imports the base image anew with one file added,
and waits until all have followed, and then until their tags, SBOMs and provenance have. Tells the pace, the
most manifests in any second, how many were refused, the worker's time for each image, and what 10,000 images
take at this pace.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.instance import ROOT, instance
from tests.rootfs import patched_debian

QUOTA = 10
MANY = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--libraries", nargs="+", default=["numpy", "pandas", "scikit-learn"])
    asked = parser.parse_args()
    variables = {
        "BUILDERS": str(asked.workers),
        "RI_UPGRADES_AT_ONCE": str(2 * asked.workers),
        "RI_IMPORT_CHECK": "off",
        "RI_MAX_WAITING_BUILDS": str(asked.images + 1),
        "RI_MAX_RUNNING_BUILDS": str(asked.workers),
        "LOCAL_PUT_IMAGE_QUOTA": str(QUOTA),
    }
    os.environ.update(variables)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "benchmarks") as folder:
        state = Path(folder) / "state"
        with instance(state, variables):
            build_images(asked.images, asked.libraries)
            upgrade(asked.images, Path(folder))
            refused = (state / "run.log").read_text().count("PutImage is beyond its quota")
            print(f"{refused} manifests were refused in all.", flush=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{used.ru_utime + used.ru_stime:.0f} s of processor time in all.")


def build_images(wanted: int, libraries: list[str]) -> None:
    from django.db import transaction

    from images.models import Build, ManagedImage, Status
    from images.operations.images import create_image
    from images.requirement_files.configured import parse_pip_requirements
    from images.spec import ImageSpec
    from workspaces.access import Actor
    from workspaces.models import User

    actor = Actor(User.objects.get(username="admin"))
    spec = ImageSpec("all", "3.11", tuple(parse_pip_requirements("\n".join(libraries))))
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
    wait_until(lambda: ManagedImage.objects.filter(status=Status.READY).count() >= wanted)
    assert not Build.objects.filter(state="failed").exists()
    wait_until(is_complete)
    print(f"{wanted} images built in {time.monotonic() - begun:.0f} s", flush=True)


def is_complete() -> bool:
    """Whether every tag, SBOM and provenance is in the registry."""
    from images.models import Attestation, MovingTag

    return not (Attestation.objects.active().exists() or MovingTag.objects.unpushed().exists())


def upgrade(wanted: int, folder: Path) -> None:
    from django.conf import settings

    from images.models import BaseImage, Build, BuildReason, ManagedImage, Status
    from images.operations import base_images

    base_images.import_base_image(
        None, image_type="all", python_version="3.11", platform_version="newer",
        source=f"rootfs:{patched_debian(settings.CACHE_DIR, folder)}",
    )  # fmt: skip
    wait_until(lambda: BaseImage.objects.current().filter(platform_version="newer").exists())
    begun = time.monotonic()
    upgrades = Build.objects.filter(reason=BuildReason.UPGRADE, state="succeeded")
    wait_until(lambda: upgrades.count() >= wanted)
    seconds = time.monotonic() - begun
    assert not ManagedImage.objects.filter(status=Status.FAILED).exists()
    ends = [build.finished_at for build in upgrades if build.finished_at]
    busiest = max(Counter(int(moment.timestamp()) for moment in ends).values())
    print(
        f"{wanted} images upgraded in {seconds:.0f} s, {wanted / seconds:.2f} a second, at most {busiest} in "
        f"one second; {MANY:,} take {MANY / wanted * seconds / 60:.1f} minutes at this pace. "
        f"Load {os.getloadavg()[0]:.1f}."
    )
    took = [(end - build.started_at).total_seconds() for build in upgrades
            if (end := build.finished_at) and build.started_at]  # fmt: skip
    print(
        f"  worker time an image: median {statistics.median(took):.3f} s, longest {max(took):.3f} s"
    )
    for phase in ("resolve", "push", "verify"):
        times = [build.timings[phase]["seconds"] for build in upgrades]
        print(f"  {phase}: median {statistics.median(times):.3f} s", flush=True)
    wait_until(is_complete)
    later = time.monotonic() - begun - seconds
    print(f"Tags, SBOMs and provenance of all followed {later:.0f} s later.")


def wait_until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.2)


if __name__ == "__main__":
    main()
