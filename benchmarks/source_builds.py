"""Builds from source, one library after another: `python -m benchmarks.source_builds`. Takes root.

Starts an instance of its own on an empty state folder and builds an image of one small source distribution
at a time. The first unpacks the base image; the following ones run upon the same files. *Seconds* is from the
request to READY.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.instance import instance

# Published as source distributions alone.
LIBRARIES = ("docopt==0.6.2", "sgmllib3k==1.0.0", "pyperclip==1.8.2", "future==0.18.2")


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="bench-sources-") as folder,
        instance(Path(folder, "state")),
    ):
        measured = [(library, seconds_of(library)) for library in LIBRARIES]
    print("| library | seconds |")
    print("| --- | --- |")
    for library, seconds in measured:
        print(f"| {library} | {seconds:.1f} |")


def seconds_of(library: str) -> float:
    from images.models import ImportPolicy, Status
    from images.operations.images import create_image
    from images.requirement_files.configured import parse_pip_requirements
    from images.spec import ImageSpec
    from workspaces.access import Actor
    from workspaces.models import User

    spec = ImageSpec("all", "3.11", tuple(parse_pip_requirements(library)), allow_source=True)
    begun = time.monotonic()
    image = create_image(
        Actor(User.objects.get(username="admin")),
        library.partition("=")[0],
        spec,
        import_policy=ImportPolicy.OFF,
    )
    while not image.is_settled:
        time.sleep(0.1)
        image.refresh_from_db()
    assert image.status == Status.READY, image.builds.get().error_message
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
