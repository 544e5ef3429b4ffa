"""A warm build from the request to READY, by phases: `python -m benchmarks.warm --sets 3 34 139`.

Starts an instance of its own, builds each set once, so that all wheels and layers are known, and then asks
for the same libraries again, each time as an image of another name, by POST as a client does. Tells the
median of each step in milliseconds: *post* until the request was answered; *repository* until the registry
worker had made it; *claimed* until a builds worker held its lease; then the build's own phases as its journal
has them; *READY* until the database says so. *answer to READY* is the time between these two, and *foreseen*
how many of the answers had the digest that the image then got. `--log` shows the last build's log.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from benchmarks.instance import ROOT, instance

if TYPE_CHECKING:
    from images.models import Build

# Number of wheels → what is asked for; the numbers are those of the day, within a few.
SETS = {
    3: ["pyjokes", "humanize", "six"],
    34: ["transformers", "tokenizers", "onnxruntime"],
    139: ["jupyterlab", "mlflow-skinny", "dask[complete]"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two requests")
    parser.add_argument("--state", type=Path, help="a state folder to keep for further runs")
    parser.add_argument("--log", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "benchmarks") as folder:
        state = asked.state or Path(folder) / "state"
        with instance(state, {"RI_IMPORT_CHECK": "off"}), Client() as client:
            print(
                "| wheels | step | median ms | slowest ms | load |\n| --- | --- | --- | --- | --- |"
            )
            for number in asked.sets:
                measure(client, number, asked)


def measure(client: Client, number: int, asked: argparse.Namespace) -> None:
    build, _ = client.build(SETS[number])
    found: dict[str, list[float]] = defaultdict(list)
    foreseen = 0
    for _ in range(asked.rounds):
        time.sleep(asked.pause)
        build, steps = client.build(SETS[number])
        for step, milliseconds in steps.items():
            found[step].append(milliseconds)
        foreseen += client.was_foreseen
    load = os.getloadavg()[0]
    for step, values in found.items():
        row = f"{statistics.median(values):.0f} | {max(values):.0f} | {load:.1f}"
        print(f"| {build.library_count} | {step} | {row} |", flush=True)
    print(f"| {build.library_count} | foreseen | {foreseen} of {asked.rounds} | | |", flush=True)
    if asked.log:
        print("".join(build.log_chunks.values_list("text", flat=True)))


class Client:
    """Asks for images over HTTP as a program does, and looks into the database for what became of them."""

    def __init__(self) -> None:
        from workspaces.access import Actor
        from workspaces.models import User, Workspace
        from workspaces.operations.tokens import create_token

        actor = Actor(User.objects.get(username="admin"))
        workspace = Workspace.objects.earliest("created_at")
        secret = create_token(actor, workspace, f"bench {os.getpid()}").secret
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{os.environ['PORT']}",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=60,
        )
        self._number = 0
        self.was_foreseen = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def build(self, libraries: Sequence[str]) -> tuple[Build, dict[str, float]]:
        """Have an image built; the build, and the milliseconds of each step."""
        from images.models import Build

        self._number += 1
        wanted = {
            "name": f"warm-{os.getpid()}-{self._number}",
            "pythonVersion": "3.11",
            "pipRequirements": [{"name": name} for name in libraries],
        }
        asked_at = datetime.now(UTC)
        answer = self._http.post("/v1/images", json=wanted)
        answered_at = datetime.now(UTC)
        assert answer.status_code == 200, answer.text
        build = Build.objects.get(image__name=wanted["name"])
        while build.is_active:
            time.sleep(0.005)
            build.refresh_from_db()
        assert build.state == "succeeded", f"{build.error_message} {build.error_hint}"
        expected = answer.json()["image"]["expectedDigest"]
        assert expected in ("", build.manifest_digest), f"{expected} was foreseen"
        self.was_foreseen = bool(expected)
        return build, steps_of(build, asked_at, answered_at)


def steps_of(build: Build, asked_at: datetime, answered_at: datetime) -> dict[str, float]:
    """Milliseconds from the request until each step had ended, in their order; READY is the sum of all."""
    build.image.refresh_from_db()
    ends = {"post": answered_at, "repository": build.image.repository_ready_at}
    ends["claimed"] = build.started_at
    for phase, timing in build.timings.items():
        began = datetime.fromisoformat(timing["started_at"])
        ends[phase] = began + timedelta(seconds=timing["seconds"])
    ends["READY"] = build.finished_at
    steps = {
        step: (moment - asked_at).total_seconds() * 1000
        for step, moment in ends.items()
        if moment is not None
    }
    return steps | {"answer to READY": steps["READY"] - steps["post"]}


if __name__ == "__main__":
    main()
