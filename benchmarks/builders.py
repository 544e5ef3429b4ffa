"""Comparison of the platform's builds with those of a container builder on one machine: `make bench`.

Starts an instance of its own on an empty state folder, so cold means cold: no wheel, no layer, no
resolver cache. Where buildah is there (and we are root), the same libraries are installed by
pip and by uv onto the same base with `buildah bud`, and pushed to the same registry. Warm means the same
again, with whatever each way keeps: ours its memory of layers, pip and uv their caches.

How to read the table: *seconds* is from the request (or the start of buildah) to an image in the registry;
*ratio* is against buildah + pip in the same state; *pushed* is what had to be uploaded; *memory* is the
peak of the processes that build (ours: the builds worker and its layer processes together; buildah: its
largest process so far); *import* is the best of three first imports of the set in the pulled image.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ri_platform.env import read_env_file
from ri_platform.local import services

ROOT = Path(__file__).resolve().parents[1]
SETS = {
    "pyjokes": (["pyjokes"], "import pyjokes"),
    "data": (["numpy", "pandas", "scikit-learn"], "import numpy, pandas, sklearn"),
    "data + humanize": (
        ["numpy", "pandas", "scikit-learn", "humanize"],
        "import pandas, sklearn, humanize",
    ),
}
# (set, state); the delta comes after the set that it adds to.
ROUNDS = [("data", "cold"), ("data", "warm"), ("data + humanize", "delta"),
          ("pyjokes", "cold"), ("pyjokes", "warm")]  # fmt: skip


@dataclass
class Row:
    """One measurement; seconds, bytes and MB."""

    builder: str
    what: str
    state: str
    seconds: float
    pushed: int | None = None
    memory: float | None = None
    imported: float | None = None
    phases: dict[str, float] = field(default_factory=dict)


# --- ours -------------------------------------------------------------------------------------------------


@contextmanager
def instance(state: Path, variables: Mapping[str, str] | None = None) -> Iterator[None]:
    """`make run` on `state` with `variables`, its base image ready; Django is set up to look into it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RI_", "AWS_"))}
    environment |= {
        **(variables or {}),
        "RI_STATE_DIR": str(state),
        "PORT": str(services.free_port()),
        "UV_CACHE_DIR": str(state / "uv-cache"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ri_platform.local"],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        health = f"http://127.0.0.1:{environment['PORT']}/healthz"
        assert services.wait_until_answers(health, 600)
        os.environ.update(
            RI_STATE_DIR=str(state),
            PORT=environment["PORT"],
            DJANGO_SETTINGS_MODULE="ri_platform.settings",
        )
        import django

        django.setup()
        from images.models import BaseImage

        while not BaseImage.objects.current().exists():
            time.sleep(0.5)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class MemoryWatch(threading.Thread):
    """The peak of the memory of the builds worker and its children together, in MB."""

    def __init__(self, state: Path) -> None:
        super().__init__(daemon=True)
        self._state = str(state).encode()
        self._stopped = threading.Event()
        self.peak = 0.0

    def run(self) -> None:
        workers = [pid for pid in pids() if self._is_worker(pid)]
        while not self._stopped.wait(0.05):
            self.peak = max(self.peak, sum(resident(pid) for pid in add_children(workers)))

    def stop(self) -> float:
        self._stopped.set()
        self.join()
        return self.peak

    def _is_worker(self, pid: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            return (
                b"-Q\0builds" in command
                and self._state in Path(f"/proc/{pid}/environ").read_bytes()
            )
        except OSError:
            return False


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def add_children(parents: list[int]) -> list[int]:
    found = list(parents)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def resident(pid: int) -> float:
    """Proportional set size (proc_pid_smaps(5)): a page that processes share counts once among them."""
    try:
        status = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    line = next((line for line in status.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return int(line.split()[1]) / 1000


def ours(what: str, round_state: str, number: int, state: Path) -> Row:
    from images.models import BuildPhase
    from images.operations.images import create_image
    from images.references import pull_reference
    from images.requirement_files.configured import parse_pip_requirements
    from images.spec import ImageSpec
    from workspaces.access import Actor
    from workspaces.models import User

    libraries, statement = SETS[what]
    wanted = parse_pip_requirements("\n".join(libraries))
    actor = Actor(User.objects.get(username="admin"))
    watch = MemoryWatch(state)
    watch.start()
    time.sleep(0.2)
    begun = time.monotonic()
    image = create_image(actor, f"bench-{number}", ImageSpec("all", "3.11", tuple(wanted)))
    build = image.builds.get()
    while build.is_active:
        time.sleep(0.02)
        build.refresh_from_db()
    seconds = time.monotonic() - begun
    assert build.state == "succeeded", f"{build.error_message} {build.error_hint}"
    image.refresh_from_db()
    return Row(
        "ours", what, round_state, seconds, build.pushed_bytes, watch.stop(),
        import_seconds(pull_reference(image, build), statement, state),
        {
            phase: build.timings[phase]["seconds"]
            for phase in BuildPhase.values if phase in build.timings
        },
    )  # fmt: skip


# --- the container builder --------------------------------------------------------------------------------

INSTALL = {
    "pip": "/opt/managed/bin/pip install {0}",
    "uv": "uv pip install --python /opt/managed/bin/python {0}",
}


class Buildah:
    """`buildah bud` in chroot isolation with one installer, its cache kept between its rounds."""

    def __init__(self, installer: str, state: Path) -> None:
        self.installer = installer
        self.number = 0
        self.folder = Path(tempfile.mkdtemp(prefix="bench-buildah-"))
        self.state = state
        (self.folder / "cache").mkdir()
        storage = ["--root", str(self.folder / "root"), "--runroot", str(self.folder / "run")]
        self.command = ["buildah", *storage, "--storage-driver", "overlay"]

    def build(self, what: str, state: str) -> Row:
        from django.conf import settings

        from images.models import BaseImage

        libraries, statement = SETS[what]
        self.number += 1
        tag = f"bench-{self.installer}-{self.number}"
        base = BaseImage.objects.current().get()
        repository = f"{settings.REGISTRY_HOST}/{base.repository}"
        certificates = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        context = self.folder / "context"
        context.mkdir(exist_ok=True)
        (context / "Containerfile").write_text(
            f"FROM {repository}@{base.manifest_digest}\n"
            f"RUN export XDG_CACHE_HOME=/cache PIP_CERT={certificates} SSL_CERT_FILE={certificates}"
            " && python3 -m venv --system-site-packages /opt/managed && "
            + INSTALL[self.installer].format(" ".join(libraries))
            + "\n"
        )
        mounts = {
            certificates: f"{certificates}:ro",
            str(self.folder / "cache"): "/cache",
            str(ROOT / ".venv/bin/uv"): "/usr/local/bin/uv:ro",
        }
        begun = time.monotonic()
        # `--pull` would fetch the base each time; it is kept after the first round, as on any build host.
        subprocess.run(
            [*self.command, "bud", "-q", "--isolation", "chroot", "--layers=false",
             "--tls-verify=false", "--creds", credentials(self.state),
             *(word for a, b in mounts.items() for word in ("-v", f"{a}:{b}")),
             "-t", "bench", str(context)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        subprocess.run(
            [*self.command, "push", "-q", "--tls-verify=false", "--creds", credentials(self.state),
             "bench", f"docker://{repository}:{tag}"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        seconds = time.monotonic() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        return Row(
            f"buildah + {self.installer}", what, state, seconds, None, peak,
            import_seconds(f"{repository}:{tag}", statement, self.state),
        )  # fmt: skip

    def close(self) -> None:
        subprocess.run([*self.command, "rm", "-a"], check=False, capture_output=True)
        subprocess.run([*self.command, "rmi", "-af"], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def credentials(state: Path) -> str:
    """The credentials of the build jobs for the local registry, in the form of buildah and skopeo."""
    done = subprocess.run(
        [sys.executable, "manage.py", "registry_password"], cwd=ROOT,
        env={**os.environ, **read_env_file(state / "aws.env")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return f"AWS:{done.stdout.strip()}"


# --- imports, and the table ---------------------------------------------------------------------------------


def import_seconds(reference: str, statement: str, state: Path) -> float | None:
    """The best of three imports in the image, pulled by skopeo and entered by chroot; None without them."""
    if not shutil.which("skopeo") or os.geteuid() != 0:
        return None
    with tempfile.TemporaryDirectory(prefix="bench-pull-") as folder:
        root = Path(folder) / "root"
        unpack_image(reference, root, state)
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        command = ["/usr/sbin/chroot", str(root), "/opt/managed/bin/python3", "-c", code]
        environment = {"PATH": "/opt/managed/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
        return min(
            float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
            for _ in range(3)
        )


def unpack_image(reference: str, root: Path, state: Path) -> None:
    """Pull an image by skopeo and unpack its layers into the new folder `root`; takes root."""
    root.mkdir()
    with tempfile.TemporaryDirectory(prefix="bench-pull-") as folder:
        layout = Path(folder) / "oci"
        subprocess.run(
            ["skopeo", "copy", "-q", "--src-tls-verify=false", "--src-creds", credentials(state),
             f"docker://{reference}", f"oci:{layout}:x"],
            check=True,
        )  # fmt: skip

        def blob(descriptor: dict[str, Any]) -> Path:
            return layout / "blobs/sha256" / str(descriptor["digest"]).partition(":")[2]

        index = json.loads((layout / "index.json").read_text())
        for layer in json.loads(blob(index["manifests"][0]).read_text())["layers"]:
            subprocess.run(["tar", "-C", str(root), "-xzf", str(blob(layer))], check=True)


def table(rows: list[Row]) -> str:
    """Markdown, with each row's ratio to buildah + pip of the same set and state."""
    pip = {(r.what, r.state): r.seconds for r in rows if r.builder == "buildah + pip"}
    lines = [
        "| set | state | builder | seconds | ratio | pushed | memory | import | phases |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        reference = pip.get((row.what, row.state))
        cells = [
            row.what,
            row.state,
            row.builder,
            f"{row.seconds:.2f}",
            f"{row.seconds / reference:.3f}" if reference else "",
            "" if row.pushed is None else f"{row.pushed:,}",
            "" if row.memory is None else f"{row.memory:.0f} MB",
            "" if row.imported is None else f"{row.imported:.2f} s",
            ", ".join(f"{name} {seconds:.2f}" for name, seconds in row.phases.items()),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "benchmarks") as folder:
        state = Path(folder) / "state"
        with instance(state):
            for number, (what, round_state) in enumerate(ROUNDS):
                rows.append(ours(what, round_state, number, state))
                print(f"ours: {what}, {round_state}: {rows[-1].seconds:.2f} s", flush=True)
            if shutil.which("buildah") and os.geteuid() == 0:
                for installer in INSTALL:
                    builder = Buildah(installer, state)
                    try:
                        for what, round_state in ROUNDS:
                            rows.append(builder.build(what, round_state))
                            print(f"{rows[-1].builder}: {what}, {round_state}: "
                                  f"{rows[-1].seconds:.2f} s", flush=True)  # fmt: skip
                    finally:
                        builder.close()
            else:
                print("buildah is not here, or we are not root: only our own figures.")
    order = {pair: position for position, pair in enumerate(ROUNDS)}
    print("\n" + table(sorted(rows, key=lambda row: order[row.what, row.state])))


if __name__ == "__main__":
    main()
