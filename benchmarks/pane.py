"""The pane Managed Images among many images: `python -m benchmarks.pane`.

Fills a PostgreSQL of its own for each number of images, with fifty libraries and a lock of 54 kB each, and
opens the pane as an administrator in this process, so that what is measured is the server's own time. Prints
milliseconds for each number, as rows of docs/performance.md: the CPU time of this process and of PostgreSQL,
and the median and p95 of the whole. Where the machine has other work, the CPU time tells most.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.locks import LENGTH
from benchmarks.own_database import own_database

# CPU time, median and p95, in milliseconds.
Figures = tuple[float, float, float]
SORTS = ("name", "status", "base", "size", "created", "updated")
# Every image has `library-2`, most have `library-10`, few `library-1900`, and very few `library-1500`.
FILTERS: dict[str, dict[str, Any]] = {
    "status FAILED": {"status": "FAILED"},
    "status OUTDATED, by size": {"status": "OUTDATED", "sort": "-size"},
    "a library that most have": {"library": "library-3"},
    "a library that most have, by size": {"library": "library-10", "sort": "size"},
    "a rare library": {"library": "library-1900"},
    "a common and a rare library": {"library": ["library-2", "library-1500"]},
    "a library and a status": {"library": "library-3", "status": "FAILED"},
    "search, every name": {"q": "image"},
    "search, one name": {"q": "image-000777"},
    "search, the last names of all": {"q": "image-0009"},
    "search, every library": {"q": "library"},
    "search, every library, by size": {"q": "library", "sort": "-size"},
    "search, some libraries": {"q": "library-19"},
    "search, a rare library": {"q": "library-1500"},
    "search, two letters": {"q": "77"},
    "search, nothing": {"q": "nosuchthing"},
    "search and status": {"q": "library-1", "status": "FAILED"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--libraries", type=int, default=50)
    parser.add_argument("--lock-bytes", type=int, default=LENGTH)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--figures", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.figures:
        with own_database():
            print(json.dumps(measure(wanted)))
        return
    # Each number in a process of its own, since Django is set up once.
    found = [figures_of(number, wanted) for number in wanted.images]
    load = os.getloadavg()[0]
    print(f"Load at the end: {load:.1f} on {os.cpu_count()} cores.\n")
    heads = "".join(f" {number:,}: CPU | median | p95 |" for number in wanted.images)
    print(f"| pane |{heads}")
    print("|" + " --- |" * (1 + 3 * len(found)))
    for name in found[0]:
        cells = "".join(f" {value:.0f} ms |" for item in found for value in item[name])
        print(f"| {name} |{cells}")


def figures_of(number: int, wanted: argparse.Namespace) -> dict[str, Figures]:
    command = [
        sys.executable, "-m", "benchmarks.pane",
        "--figures", "--images", str(number), "--libraries", str(wanted.libraries),
        "--lock-bytes", str(wanted.lock_bytes),
        "--requests", str(wanted.requests),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Figures] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(wanted: argparse.Namespace) -> dict[str, Figures]:
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.many_images import fill

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    fill(wanted.images[0], wanted.libraries, wanted.lock_bytes)
    complete()
    return ask_everything(wanted.requests)


def complete() -> None:
    """What makes the pane's work: every image was tried, and those that are outdated wait for an upgrade."""
    from django.db import connection

    from images.models import BaseImage, Build, ImportCheck
    from tests import factories

    builds = Build.objects.values_list("pk", "manifest_digest")
    ImportCheck.objects.bulk_create(
        (
            ImportCheck(
                build_id=build,
                manifest_digest=digest,
                state="succeeded",
                result="passed",
                seconds=1,
            )
            for build, digest in builds.iterator()
        ),
        batch_size=5000,
    )
    BaseImage.objects.update(is_current=False)
    factories.make_base_image(platform_version="newer")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def ask_everything(requests: int) -> dict[str, Figures]:
    """Kind of request → its median and p95 in milliseconds, of a database that is filled."""
    import importlib

    from django.test import Client
    from django.urls import reverse

    from workspaces.models import User, Workspace

    # Its process is settled as the console's is.
    importlib.import_module("ri_platform.wsgi")
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    workspace = Workspace.objects.all()[0]
    pane = reverse("images", kwargs={"workspace_id": workspace.pk})

    def timed(addresses: dict[str, Any]) -> Figures:
        took = []
        for number in range(requests + 2):
            if number == 2:
                before = cpu_seconds()
            begun = time.perf_counter()
            answer = client.get(pane, addresses)
            assert answer.status_code == 200, (addresses, answer.status_code)
            if number >= 2:
                took.append((time.perf_counter() - begun) * 1000)
        used = (cpu_seconds() - before) / requests * 1000
        return used, statistics.median(took), statistics.quantiles(took, n=20)[-1]

    kinds: dict[str, dict[str, Any]] = {}
    for sort in SORTS:
        kinds[f"by {sort}, first page"] = {"sort": sort}
        kinds[f"by {sort}, middle page"] = page_from(sort, 0.5)
        kinds[f"by {sort}, last page"] = page_from(sort, 0.9999)
    found = {}
    for name, query in {**kinds, **FILTERS}.items():
        found[name] = timed(query)
        shown = "".join(f"{value:8.1f}" for value in found[name])
        print(f"{name:40}{shown}", file=sys.stderr, flush=True)
    return found


def cpu_seconds() -> float:
    """What this process and its PostgreSQL backend have used; the latter to a hundredth of a second."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        stat = Path(f"/proc/{cursor.fetchone()[0]}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return time.process_time() + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def page_from(sort: str, share: float) -> dict[str, str]:
    """The page after the image that this share of all come before."""
    from images.models import ManagedImage
    from images.queries.images import columns_of
    from ri_platform.pages import place_of

    columns = columns_of(sort)
    rows = ManagedImage.objects.existing().order_by(*columns)
    count = rows.count()
    return {"sort": sort, "after": place_of(rows[min(int(count * share), count - 50)], columns)}


if __name__ == "__main__":
    main()
