"""Layers made in processes of their own: one job a line in, one answer a line out, both JSON.

They import no Django, so they stay small, and a build's memory stays bounded whatever its wheels are.
Celery's worker processes may not use multiprocessing; a plain subprocess they may.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from images.building.layers.tar import Layer
from images.building.layers.wheel import MANAGED_PREFIX
from images.building.layers.write import write_wheel_layer
from images.errors import BuildError, WheelInvalid

ROOT = Path(__file__).resolve().parents[3]
# Isolated (-I) and without `site` (-S): neither the environment, nor the folder it starts in, nor a `.pth`
# file beside the libraries decides what the process runs. It gets the folders of its modules as arguments.
START = (
    "import sys; sys.path += sys.argv[1:]; from images.building.layers.worker import serve; serve()"
)


def modules_here() -> list[str]:
    """The folders that this process has its libraries from, after the standard library's, and this code's
    own."""
    libraries = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    return [str(ROOT), *sorted(libraries)]


@dataclass(frozen=True)
class LayerJob:
    """Wheels that share a layer, and the file that it is to be written to."""

    wheels: tuple[Path, ...]
    python_version: str
    destination: Path
    bytecode: bool
    prefix: str = MANAGED_PREFIX


class LayerMakers:
    """Some layer-making processes. `make` may be called from as many threads as there are processes."""

    def __init__(self, number: int) -> None:
        # They start up while the first wheels are still on their way.
        self._all = [LayerMaker() for _ in range(number)]
        self._idle: SimpleQueue[LayerMaker] = SimpleQueue()
        for maker in self._all:
            self._idle.put(maker)

    def make(self, job: LayerJob) -> Layer:
        """Make one layer. Raises `WheelInvalid` as the process did, `BuildError` if it died."""
        maker = self._idle.get()
        try:
            return maker.make(job)
        finally:
            self._idle.put(maker)

    def close(self) -> None:
        """Kill the processes, whatever they are doing."""
        for maker in self._all:
            maker.close()


class LayerMaker:
    """One layer-making process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", START, *modules_here()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            # Nothing of the worker's environment, and so none of its AWS identity.
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )

    def make(self, job: LayerJob) -> Layer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "wheels": [str(path) for path in job.wheels],
            "python_version": job.python_version,
            "destination": str(job.destination),
            "bytecode": job.bytecode,
            "prefix": job.prefix,
        }
        line = b""
        # A process that has died closes its pipes; what it did not say, the sentence below says.
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise BuildError(
                f"The process that made a layer of {', '.join(p.name for p in job.wheels)} died.",
                hint="The worker may be out of memory; an operator should look.",
            )
        answer = json.loads(line)
        if "error" in answer:
            raise WheelInvalid(answer["error"], hint=answer["hint"])
        paths = b64decode(answer.pop("paths"))
        return Layer(path=job.destination, paths=paths, **answer)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def serve() -> None:
    for line in sys.stdin.buffer:
        request: dict[str, Any] = json.loads(line)
        try:
            layer = write_wheel_layer(
                [Path(wheel) for wheel in request["wheels"]],
                request["python_version"],
                Path(request["destination"]),
                bytecode=request["bytecode"],
                prefix=request["prefix"],
            )
            answer = {
                "digest": layer.digest,
                "diff_id": layer.diff_id,
                "size": layer.size,
                "paths": b64encode(layer.paths).decode("ascii"),
            }
        except WheelInvalid as error:
            answer = {"error": error.message, "hint": error.hint}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
