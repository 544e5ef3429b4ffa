"""Throughput and fairness of the builds queue: `python -m benchmarks.queues --builds 200 --workers 1 2 4`.

For each number of builds workers, starts an instance of its own, builds one image, and asks for that
many more of the same libraries as one user: each is a new repository and a manifest of known layers.
Another user then asks for one. Tells builds a minute, and how long the lone build waited for its worker
and until it was ready. Import checks are off: their worker would share the processor.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.instance import ROOT, instance

if TYPE_CHECKING:
    from images.models import ManagedImage

HEAD = "| workers | builds | builds a minute | lone build begins after | is ready after | load |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--builds", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    asked = parser.parse_args()
    print(HEAD + "\n| --- | --- | --- | --- | --- | --- |", flush=True)
    context = multiprocessing.get_context("spawn")
    for workers in asked.workers:
        # Django is set up once in a process, and each instance has a database of its own.
        mine, theirs = context.Pipe()
        process = context.Process(target=measure, args=(asked.builds, workers, theirs))
        process.start()
        theirs.close()
        print(mine.recv(), flush=True)
        process.join()


def measure(builds: int, workers: int, answer: Connection) -> None:
    """Send a row of the table."""
    variables = {
        "BUILDERS": str(workers),
        "RI_IMPORT_CHECK": "off",
        "RI_MAX_WAITING_BUILDS": str(builds + 1),
        "RI_MAX_RUNNING_BUILDS": str(workers),
    }
    os.environ.update(variables)
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "benchmarks") as folder,
        instance(Path(folder) / "state", variables),
    ):
        wait_for([ask("admin", "first")])
        begun = time.monotonic()
        many = [ask("admin", f"many-{number}") for number in range(builds)]
        lone = ask("member", "lone")
        wait_for([lone])
        wait_for(many)
        seconds = time.monotonic() - begun
        build = lone.builds.get()
        begins, ready = (
            since(build.created_at, moment) for moment in (build.started_at, build.finished_at)
        )
    answer.send(
        f"| {workers} | {builds} | {60 * (builds + 1) / seconds:.0f} | {begins:.2f} s | {ready:.2f} s | "
        f"{os.getloadavg()[0]:.1f} |"
    )


def ask(username: str, name: str) -> ManagedImage:
    from images.operations.images import create_image
    from images.requirement_files.configured import parse_pip_requirements
    from images.spec import ImageSpec
    from workspaces.access import Actor
    from workspaces.models import User, Workspace

    spec = ImageSpec("all", "3.11", tuple(parse_pip_requirements("pyjokes==0.6.0")))
    user = User.objects.get(username=username)
    return create_image(Actor(user), name, spec, workspace=Workspace.objects.first())


def wait_for(images: list[ManagedImage]) -> None:
    from images.models import Build

    mine = Build.objects.filter(image__in=images)
    while mine.filter(state="succeeded").count() < len(images):
        time.sleep(0.1)
        assert not mine.filter(state="failed").exists(), "A build failed."


def since(begin: datetime, end: datetime | None) -> float:
    assert end is not None
    return (end - begin).total_seconds()


if __name__ == "__main__":
    main()
