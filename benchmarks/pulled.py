"""Images as whoever pulls them has them: unpacked by skopeo and tar, and entered by chroot."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.instance import credentials

IMPORTS = 3


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


def import_seconds(reference: str, statement: str, state: Path) -> float:
    """The best of three imports in the image, each in a process of its own; takes root."""
    with tempfile.TemporaryDirectory(prefix="bench-pull-") as folder:
        root = Path(folder) / "root"
        unpack_image(reference, root, state)
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        command = ["/usr/sbin/chroot", str(root), "/opt/managed/bin/python3", "-c", code]
        environment = {"PATH": "/opt/managed/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
        took = []
        for _ in range(IMPORTS):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            # A library may greet on the standard output.
            took.append(float(done.stdout.split()[-1]))
        return min(took)
