"""The time from a request with a uv.lock of known wheels to READY: `python -m benchmarks.given_lock`.

Starts an instance of its own on an empty state folder, asks for three libraries, and then for an image of the
same libraries by a uv.lock, five times. *Seconds* begin with the reading of the file and end when the build's
row says that it succeeded.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from uv import find_uv_bin

from benchmarks.instance import instance

LIBRARIES = ["numpy", "pandas", "scikit-learn"]
PROJECT = f"""\
[project]
name = "churn"
version = "0"
requires-python = "==3.11.*"
dependencies = {LIBRARIES!r}
"""
REPEATS = 5


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-lock-") as folder:
        lock = uv_lock(Path(folder))
        with instance(Path(folder, "state")):
            seconds = [ready_after(number, lock) for number in range(REPEATS + 1)]
    first, *warm = seconds
    print(f"with wheels to fetch: {first:.2f} s")
    print("with known wheels: " + ", ".join(f"{taken:.2f}" for taken in warm) + " s")


def uv_lock(folder: Path) -> str:
    project = folder / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    subprocess.run([find_uv_bin(), "lock", "--quiet"], cwd=project, check=True)
    return (project / "uv.lock").read_text(encoding="utf-8")


def ready_after(number: int, lock: str) -> float:
    from images.models import BuildPhase
    from images.operations.images import create_image
    from images.queries.file_requirements import read_for_image
    from images.requirement_files import Supplied, SuppliedFile
    from images.spec import ImageSpec
    from workspaces.access import Actor
    from workspaces.models import User

    actor = Actor(User.objects.get(username="admin"))
    begun = time.monotonic()
    supplied = Supplied((SuppliedFile("uv.lock", lock),))
    read = read_for_image(supplied, "all", "3.11")
    spec = ImageSpec("all", "3.11", read.requirements())
    assert spec.is_locked
    image = create_image(actor, f"bench-lock-{number}", spec, supplied=supplied)
    asked = time.monotonic()
    build = image.builds.get()
    while build.is_active:
        time.sleep(0.01)
        build.refresh_from_db()
    seconds = time.monotonic() - begun
    assert build.state == "succeeded", f"{build.error_message} {build.error_hint}"
    phases = {
        phase: build.timings[phase]["seconds"]
        for phase in BuildPhase.values
        if phase in build.timings
    }
    print(f"{seconds:.2f} s: read and accepted in {asked - begun:.2f} s, {phases}")
    return seconds


if __name__ == "__main__":
    main()
