"""The cost of a trial of imports beside the imports: `python -m benchmarks.import_check`. Takes root.

Starts an instance of its own on an empty state folder, builds an image of three libraries, and tries its
imports six times: first with nothing unpacked, then with all of it. *Beside* is the whole trial, from the
worker's call to the result, without the seconds of the imports themselves.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.instance import instance

LIBRARIES = ("numpy", "pandas", "scikit-learn")
REPEATS = 5


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="bench-imports-") as folder,
        instance(Path(folder, "state")),
    ):
        from ri_platform.local.identity import take_identity

        take_identity()
        build_id = build_image()
        measured = [trial(build_id) for _ in range(REPEATS + 1)]
    print("| unpacked | imports | whole trial | beside |")
    print("| --- | --- | --- | --- |")
    for number, (imports, whole) in enumerate(measured):
        state = "yes" if number else "no"
        print(f"| {state} | {imports:.2f} s | {whole:.2f} s | {whole - imports:.2f} s |")


def build_image() -> int:
    """The build of an image whose own check has ended."""
    from images.models import ImportPolicy
    from images.operations.images import create_image
    from images.requirement_files.configured import parse_pip_requirements
    from images.spec import ImageSpec
    from workspaces.access import Actor
    from workspaces.models import User

    image = create_image(
        Actor(User.objects.get(username="admin")),
        "tried",
        ImageSpec("all", "3.11", tuple(parse_pip_requirements("\n".join(LIBRARIES)))),
        import_policy=ImportPolicy.OFF,
    )
    while not image.is_settled:
        time.sleep(0.2)
        image.refresh_from_db()
    assert image.current_build is not None
    return image.current_build.pk


def trial(build_id: int) -> tuple[float, float]:
    """Seconds of the imports, and of the whole trial."""
    from images.jobs import import_check, import_trial
    from images.models import Build

    build = Build.objects.get(pk=build_id)
    layers, libraries = import_check.files_of(build)
    begun = time.monotonic()
    tried = import_trial.try_build(build, layers, libraries, lambda: None)
    whole = time.monotonic() - begun
    assert tried.passed, tried
    return tried.seconds, whole


if __name__ == "__main__":
    main()
