"""Layers made in processes of their own: one job a line in, one answer a line out, both JSON.

They import no Django, so they stay small, and a build's memory stays bounded whatever its wheels are. One
process loads the code, and those that work are its forks: they start at once, and share what was loaded.
Celery's worker processes may not use multiprocessing; a plain subprocess they may.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import sysconfig
import traceback
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from images.building.containers import cgroups
from images.building.layers.compilers import Compilers
from images.building.layers.notes import as_json, from_json
from images.building.layers.remembered_bytecode import compiling, identity_of
from images.building.layers.tar import Layer
from images.building.layers.wheel import MANAGED_PREFIX, Environment
from images.building.layers.write import write_layer
from images.errors import BuildError, WheelInvalid

ROOT = Path(__file__).resolve().parents[3]
# Isolated (-I) and without `site` (-S): neither the environment, nor the folder it starts in, nor a `.pth`
# file beside the libraries decides what the process runs. It gets the folders of its modules as arguments.
START = (
    "import sys; at = sys.argv.index('--'); sys.path += sys.argv[1:at]; "
    "from images.building.layers.worker import serve; serve(*sys.argv[at + 1 :])"
)


def modules_here() -> list[str]:
    """The folders that this process has its libraries from, after the standard library's, and this code's
    own."""
    libraries = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    return [str(ROOT), *sorted(libraries)]


@dataclass(frozen=True)
class LayerJob:
    """Wheels that share a layer, and the file that it is to be written to.

    `known` is bytecode that is remembered of the library, `learned` where that of these wheels is written to;
    without `learned` all is compiled.
    """

    wheels: tuple[Path, ...]
    python_version: str
    destination: Path
    prefix: str = MANAGED_PREFIX
    known: Path | None = None
    learned: Path | None = None


class LayerMakers:
    """Some layer-making processes. `make` may be called from as many threads as there are processes.

    They are forks of one, which has loaded what they need, and compile with `interpreter`, or not at all.
    `compilers` are as many as there are cores for them. `niceness` is that of nice(2).
    """

    def __init__(
        self, number: int, interpreter: str | None = None, compilers: int = 1, niceness: int = 0
    ) -> None:
        self._kills_before = cgroups.oom_kills()
        ours, theirs = [], []
        for _ in range(number):
            (their_in, requests), (answers, their_out) = os.pipe(), os.pipe()
            ours.append((requests, answers))
            theirs.append((their_in, their_out))
        # They start up while the first wheels are still on their way.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", START, *modules_here(), "--",
             interpreter or "", str(compilers), str(niceness), *(f"{a},{b}" for a, b in theirs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[end for pair in theirs for end in pair],
            # One group, which is killed as a whole.
            process_group=0,
            cwd="/",
            # Nothing of the worker's environment, and so none of its AWS identity.
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )  # fmt: skip
        for pair in theirs:
            for end in pair:
                os.close(end)
        self._all = [LayerMaker(os.fdopen(r, "wb"), os.fdopen(a, "rb")) for r, a in ours]
        self._ended = False
        self._idle: SimpleQueue[LayerMaker] = SimpleQueue()
        for maker in self._all:
            self._idle.put(maker)

    def make(self, job: LayerJob) -> Layer:
        """Make one layer. Raises `WheelInvalid` as the process did, `BuildError` if it died."""
        maker = self._idle.get()
        try:
            answer = maker.ask(job)
        finally:
            self._idle.put(maker)
        if answer is None:
            killed = cgroups.oom_kills() > self._kills_before
            raise death_of(job, self._process.wait(), out_of_memory=killed)
        return layer_of(job, answer)

    def finish(self) -> None:
        """Let the processes end, which have nothing to do any more."""
        for maker in self._all:
            maker.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
            self._ended = True

    def close(self) -> None:
        """Kill the processes, whatever they are doing."""
        # A group that has ended leaves its number to others.
        if not self._ended:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for maker in self._all:
            maker.close()


class LayerMaker:
    """One layer-making process, by the pipes to it."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests, self._answers = requests, answers

    def ask(self, job: LayerJob) -> dict[str, Any] | None:
        """Its answer; None if it has died."""
        request = {
            "wheels": [str(path) for path in job.wheels],
            "python_version": job.python_version,
            "destination": str(job.destination),
            "prefix": job.prefix,
            "known": str(job.known or ""),
            "learned": str(job.learned or ""),
        }
        # A process that has died closes its pipes.
        with suppress(BrokenPipeError, ValueError):
            self._requests.write(json.dumps(request).encode("ascii") + b"\n")
            self._requests.flush()
            if line := self._answers.readline():
                answer: dict[str, Any] = json.loads(line)
                return answer
        return None

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self._requests.close()
        self._answers.close()


def layer_of(job: LayerJob, answer: dict[str, Any]) -> Layer:
    """The layer that a process tells of. Raises what it says instead."""
    if "error" in answer:
        raise WheelInvalid(answer["error"], hint=answer["hint"])
    if "failed" in answer:
        raise BuildError(
            f"A layer of {names(job)} cannot be made: {answer['failed']}.",
            hint="An operator should look at the builds worker; then build again.",
        )
    paths, native = b64decode(answer.pop("paths")), b64decode(answer.pop("native"))
    notes = from_json(answer.pop("notes"))
    return Layer(path=job.destination, paths=paths, native=native, notes=notes, **answer)


def names(job: LayerJob) -> str:
    return ", ".join(path.name for path in job.wheels)


def death_of(job: LayerJob, status: int, *, out_of_memory: bool) -> BuildError:
    """How a process ended that gave no answer; `status` is below zero for a signal (`Popen.returncode`)."""
    what = f"The process that made a layer of {names(job)} died"
    if status == -signal.SIGKILL and out_of_memory:
        return BuildError(
            f"{what}: the builds worker is out of memory, and the kernel killed it.",
            hint="An operator should give the worker more memory, or fewer processes (RI_BUILD_WORKERS).",
        )
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return BuildError(
        f"{what} {how}.",
        hint="Build again; if it dies again, an operator should look at the builds worker's log.",
    )


def serve(interpreter: str, compilers: str, niceness: str, *pipes: str) -> None:
    """Fork a process for each pair of pipes, `requests,answers`, and live as long as they all do.

    One that dies takes this process with it, by the same signal or status.
    """
    os.nice(int(niceness))
    ends = [tuple(map(int, pair.split(","))) for pair in pipes]
    shared = Compilers(interpreter, len(ends), int(compilers) - 1) if interpreter else None
    # What is loaded is the same in all of them, and stays in pages that they share.
    gc.freeze()
    children = set()
    for number, (requests, answers) in enumerate(ends):
        child = os.fork()
        if child == 0:
            for pair in ends[number + 1 :]:
                for end in pair:
                    os.close(end)
            status = 1
            try:
                make_layers(requests, answers, shared, interpreter, number)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        children.add(child)
        os.close(requests)
        os.close(answers)
    while children:
        child, status = os.wait()
        if child in children and status:
            if os.WIFSIGNALED(status):
                os.kill(os.getpid(), os.WTERMSIG(status))
            os._exit(os.WEXITSTATUS(status))
        children.discard(child)
    if shared is not None:
        shared.close()


def make_layers(
    requests: int, answers: int, compilers: Compilers | None, interpreter: str, number: int
) -> None:
    """Answer requests as they come; `number` is that of the process's own compiler."""
    with os.fdopen(requests, "rb") as incoming, os.fdopen(answers, "w") as outgoing:
        for line in incoming:
            answer = answer_to(json.loads(line), compilers, interpreter, number)
            outgoing.write(json.dumps(answer) + "\n")
            outgoing.flush()


def answer_to(
    request: dict[str, Any], compilers: Compilers | None, interpreter: str, number: int
) -> dict[str, Any]:
    try:
        layer = layer_wanted(request, compilers, interpreter, number)
    except WheelInvalid as error:
        return {"error": error.message, "hint": error.hint}
    except OSError as error:
        # Such as a full disk, or a compiler that ended: nothing that is wrong with the wheels.
        return {"failed": error.strerror or str(error)}
    return {
        "digest": layer.digest,
        "diff_id": layer.diff_id,
        "size": layer.size,
        "paths": b64encode(layer.paths).decode("ascii"),
        "notes": as_json(layer.notes),
        "native": b64encode(layer.native).decode("ascii"),
    }


def layer_wanted(
    request: dict[str, Any], compilers: Compilers | None, interpreter: str, number: int
) -> Layer:
    wheels = [Path(wheel) for wheel in request["wheels"]]
    prefix, python_version = request["prefix"], request["python_version"]
    destination = Path(request["destination"])
    if compilers is None:
        return write_layer(wheels, Environment(prefix, python_version, None), destination)
    known, learned = (
        Path(request[name]) if request[name] else None for name in ("known", "learned")
    )
    identity = identity_of(interpreter) if learned else b""
    with (
        compilers.session(number) as session,
        compiling(session, identity, known, learned) as compiler,
    ):
        return write_layer(wheels, Environment(prefix, python_version, compiler), destination)
